-- include: header.lua
-- The packed clock of a session, all that decides whether it lives, with its credentials behind it. Mirrored by packed.ts.
-- First byte: version of the form * 16 + device type.
local CLOCK = '>BI6I6I6I6I6I6I4c6c8'
local CLOCK_SIZE = 55
local FORM = 1
local NO_DEVICE = string.rep('\0', 8)
-- Six bytes hold no more: the year 10889.
local LAST_INSTANT = 2 ^ 48 - 1

local function packClock(clock)
  return struct.pack(CLOCK, FORM * 16 + clock.deviceType, clock.createdAt, clock.lastAccess, clock.idle, clock.expiresAt,
    clock.authenticatedAt, clock.tokensFrom, clock.profileSeq, clock.revision, clock.device) .. clock.credentials
end

local function formOf(bytes)
  return math.floor((string.byte(bytes) or 0) / 16)
end

-- The clock, or nil where there is none or it is not of the form this version knows.
local function unpackClock(bytes)
  if not bytes or #bytes <= CLOCK_SIZE or formOf(bytes) ~= FORM then
    return nil
  end
  local first, createdAt, lastAccess, idle, expiresAt, authenticatedAt, tokensFrom, profileSeq, revision, device, rest =
    struct.unpack(CLOCK, bytes)
  return { deviceType = first % 16, createdAt = createdAt, lastAccess = lastAccess, idle = idle, expiresAt = expiresAt,
    authenticatedAt = authenticatedAt, tokensFrom = tokensFrom, profileSeq = profileSeq, revision = revision,
    device = device, credentials = string.sub(bytes, rest) }
end

local function deadlineOf(clock)
  return math.min(clock.lastAccess + clock.idle, clock.expiresAt)
end

-- Why the session is over, or nil while it lives: the deadline that came first, whenever somebody looks.
local function expiryOf(clock)
  if now < deadlineOf(clock) then
    return nil
  end
  return clock.expiresAt <= clock.lastAccess + clock.idle and 'absolute' or 'idle'
end

-- The clock of a live session, or nil. Moves `now` up to what the session last recorded.
local function liveClock(sid)
  local clock = unpackClock(redis.call('HGET', user, 'c' .. sid))
  if not clock then
    return nil
  end
  notBefore(clock.lastAccess)
  if expiryOf(clock) then
    return nil
  end
  return clock
end
