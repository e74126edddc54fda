-- The same as `fib` in procs/bench: the ARGV[1]-th Fibonacci number, by recursion.
local function fib(n)
    if n < 2 then return n end
    return fib(n - 1) + fib(n - 2)
end
return fib(tonumber(ARGV[1]))
