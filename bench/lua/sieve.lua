-- The same as `sieve` in procs/bench: how many primes there are up to ARGV[1].
local limit = tonumber(ARGV[1])
local is_composite = {}
for number = 1, limit do is_composite[number] = false end
local primes = 0
for number = 2, limit do
    if not is_composite[number] then
        primes = primes + 1
        for multiple = number * number, limit, number do is_composite[multiple] = true end
    end
end
return primes
