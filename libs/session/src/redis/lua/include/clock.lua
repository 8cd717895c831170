-- include: header.lua
-- The packed clock of a session, which decides whether it is live, followed by its credentials. Mirrored by packed.ts.
-- First byte: version of the form * 16 + device type. Second byte: flags (1: the session counts towards no limit; 2: it
-- waits for a further factor, and counts once that is proved).
local CLOCK = '>BBI6I6I6I6I6I6I4c6c8'
local CLOCK_SIZE = 56
local PENDING = 2
local FORM = 2
-- The earlier form has no byte of flags, and keeps the flag in the device type. It is read but never written.
local EARLIER_FORM = 1
local NO_DEVICE = string.rep('\0', 8)
-- The maximum of six bytes: the year 10889.
local LAST_INSTANT = 2 ^ 48 - 1

local function packClock(clock)
  return struct.pack(CLOCK, FORM * 16 + clock.deviceType, clock.flags, clock.createdAt, clock.lastAccess, clock.idle, clock.expiresAt,
    clock.authenticatedAt, clock.tokensFrom, clock.profileSeq, clock.revision, clock.device) .. clock.credentials
end

local function formOf(bytes)
  return math.floor((string.byte(bytes) or 0) / 16)
end

-- The clock, or nil if there is none or this version does not know its form.
local function unpackClock(bytes)
  if bytes and formOf(bytes) == EARLIER_FORM then
    local first = string.byte(bytes)
    bytes = string.char(FORM * 16 + first % 8, math.floor(first / 8) % 2) .. string.sub(bytes, 2)
  end
  if not bytes or #bytes <= CLOCK_SIZE or formOf(bytes) ~= FORM then
    return nil
  end
  local first, flags, createdAt, lastAccess, idle, expiresAt, authenticatedAt, tokensFrom, profileSeq, revision, device, rest =
    struct.unpack(CLOCK, bytes)
  return { deviceType = first % 16, flags = flags, createdAt = createdAt, lastAccess = lastAccess, idle = idle, expiresAt = expiresAt,
    authenticatedAt = authenticatedAt, tokensFrom = tokensFrom, profileSeq = profileSeq, revision = revision,
    device = device, credentials = string.sub(bytes, rest) }
end

local function deadlineOf(clock)
  return math.min(clock.lastAccess + clock.idle, clock.expiresAt)
end

-- Why the session is over, or nil while it is live: the deadline that passed first, whenever it is read.
local function expiryOf(clock)
  if now < deadlineOf(clock) then
    return nil
  end
  return clock.expiresAt <= clock.lastAccess + clock.idle and 'absolute' or 'idle'
end

-- The clock of a live session, or nil. Raises `now` to the latest instant that the session recorded.
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
