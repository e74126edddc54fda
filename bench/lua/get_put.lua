-- The same as `get_put` in procs/bench: KEYS[1] is read and set to ARGV[1]; the reply is the old value's length.
local old = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1])
return old and #old or 0
