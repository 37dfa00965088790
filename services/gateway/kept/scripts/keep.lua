-- Answers and the positions behind them, or nothing where Redis has lost what came before.
-- KEYS positions (none where a gateway shows what it has just given), then answers; ARGV how many positions, of
-- each the least it must be and what it becomes, then of each answer its value and expiry ms. Returns the place of a
-- position that was lost, 0 where all is well.
local count = tonumber(ARGV[1])
for at = 1, count do
  -- Written blindly, a position would hide that the answers behind it are gone.
  if tonumber(redis.call('GET', KEYS[at]) or -1) < tonumber(ARGV[2 * at]) then
    return at
  end
end
for at = 1, count do
  redis.call('SET', KEYS[at], ARGV[2 * at + 1])
end
for at = count + 1, #KEYS do
  -- What somebody was told already stays as it is, though it be the same in all but the rarest case.
  redis.call('SET', KEYS[at], ARGV[2 * at], 'NX', 'PX', ARGV[2 * at + 1])
end
return 0
