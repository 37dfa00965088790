-- Who takes an Idempotency-Key: KEYS claim, lease; ARGV fingerprint, ticket, lease ms, expiry ms, prefix of answers.
local held = redis.call('HMGET', KEYS[1], 'fingerprint', 'ticket', 'accepted')
if not held[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'ticket', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
  return {'claimed', ARGV[2]}
end
if held[1] ~= ARGV[1] then
  return {'reused', held[2]}
end
local answer = redis.call('GET', ARGV[5] .. held[2])
if answer then
  return {'answered', held[2], answer}
end
if held[3] then
  return {'accepted', held[2]}
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {'leased', held[2]}
end
-- Whoever claimed it is gone, and nothing says that Kafka took its request: the next one takes its place.
redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
return {'claimed', held[2]}
