-- Lets go of a claim that is still one's own: KEYS claim; ARGV the ticket it was claimed with.
local fingerprint, ticket, claimant, _, expiry_ms =
  string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+) (%S+) (%d+) (%d+)$')
if claimant ~= ARGV[1] then
  return 0
end
if ticket == claimant then
  redis.call('DEL', KEYS[1])
else
  -- Taken from another, whose request Kafka may have: its ticket stays.
  redis.call('SET', KEYS[1], table.concat({fingerprint, ticket, claimant, 0, expiry_ms}, ' '), 'KEEPTTL')
end
return 1
