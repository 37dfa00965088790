-- Answers that are kept. KEYS their names; ARGV expiry ms, and the answers. One word each, in order.
local said = {}
for i, name in ipairs(KEYS) do
  said[i] = redis.call('SET', name, ARGV[i + 1], 'PX', ARGV[1])
end
return said
