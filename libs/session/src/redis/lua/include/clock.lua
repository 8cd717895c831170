-- include: header.lua
-- The packed clock of a session: all that decides whether it lives. Mirrored by packed.ts.
local CLOCK = '>BBI6I6I6I6I6I6I4c8c12'
local CLOCK_SIZE = 62
local NO_DEVICE = string.rep('\0', 12)

local function packClock(clock)
  return struct.pack(CLOCK, 1, clock.deviceType, clock.createdAt, clock.lastAccess, clock.idle, clock.expiresAt,
    clock.authenticatedAt, clock.tokensFrom, clock.profileSeq, clock.revision, clock.device)
end

-- The clock, or nil where there is none or it is not of a form this version knows.
local function unpackClock(bytes)
  if not bytes or #bytes ~= CLOCK_SIZE then
    return nil
  end
  local version, deviceType, createdAt, lastAccess, idle, expiresAt, authenticatedAt, tokensFrom, profileSeq, revision,
    device = struct.unpack(CLOCK, bytes)
  if version ~= 1 then
    return nil
  end
  return { deviceType = deviceType, createdAt = createdAt, lastAccess = lastAccess, idle = idle, expiresAt = expiresAt,
    authenticatedAt = authenticatedAt, tokensFrom = tokensFrom, profileSeq = profileSeq, revision = revision,
    device = device }
end

local function deadlineOf(clock)
  return math.min(clock.lastAccess + clock.idle, clock.expiresAt)
end

-- 'absolute' or 'idle' where the session is over, else nil.
local function expiryOf(clock)
  if now >= clock.expiresAt then
    return 'absolute'
  end
  if now >= clock.lastAccess + clock.idle then
    return 'idle'
  end
  return nil
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
