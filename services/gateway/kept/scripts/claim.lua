-- Who takes Idempotency-Keys. KEYS a claim and a lease each; ARGV expiry ms, prefix of answers, and for each
-- its fingerprint, ticket and lease ms. One answer each, in order.
local expiry_ms, answers = ARGV[1], ARGV[2]

local function claim(name, lease, fingerprint, ticket, lease_ms)
  local held = redis.call('HMGET', name, 'fingerprint', 'ticket', 'accepted')
  if not held[1] then
    redis.call('HSET', name, 'fingerprint', fingerprint, 'ticket', ticket)
    redis.call('PEXPIRE', name, expiry_ms)
    redis.call('SET', lease, '1', 'PX', lease_ms)
    return {'claimed', ticket}
  end
  if held[1] ~= fingerprint then
    return {'reused', held[2]}
  end
  local answer = redis.call('GET', answers .. held[2])
  if answer then
    return {'answered', held[2], answer}
  end
  if held[3] then
    return {'accepted', held[2]}
  end
  if redis.call('EXISTS', lease) == 1 then
    return {'leased', held[2]}
  end
  -- Whoever claimed it is gone, and nothing says that Kafka took its request: the next one takes its place.
  redis.call('SET', lease, '1', 'PX', lease_ms)
  return {'claimed', held[2]}
end

local said = {}
for i = 1, #KEYS / 2 do
  local at = 3 * i
  said[i] = claim(KEYS[2 * i - 1], KEYS[2 * i], ARGV[at], ARGV[at + 1], ARGV[at + 2])
end
return said
