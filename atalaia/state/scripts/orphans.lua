-- KEYS fence, then buckets of rows; ARGV the incarnation that is to be the stored one: only its owner knows
-- that all others are dead, and it may have lost the unit while it looked for them.
if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] then
    return 0
end
return redis.call('UNLINK', unpack(KEYS, 2))
