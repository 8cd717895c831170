-- include: header.lua
-- Log of recent operations. A resent operation is recognised by its name and returns its result instead of running again,
-- whatever happened to the user in between. Entries of 20 bytes: name, instant until which it may be resent, result.
local OPERATION_SIZE = 20
local MOST_OPERATIONS = 256

-- The entries that may still be resent, oldest first.
local function operations()
  local log = redis.call('HGET', user, 'p') or ''
  if #log % OPERATION_SIZE ~= 0 then
    return ''
  end
  local from = math.max(1, #log - MOST_OPERATIONS * OPERATION_SIZE + 1)
  while from < #log and struct.unpack('>I6', log, from + 8) < arrived do
    from = from + OPERATION_SIZE
  end
  return string.sub(log, from)
end

-- The result of a completed operation, or nil.
local function resultOf(operation)
  local log = operations()
  local at = string.find(log, operation, 1, true)
  while at do
    if at % OPERATION_SIZE == 1 then
      return (struct.unpack('>I6', log, at + 14))
    end
    at = string.find(log, operation, at + 1, true)
  end
  return nil
end

-- The value of the field 'p' with this operation added.
local function withOperation(operation, result)
  return string.sub(operations(), -(MOST_OPERATIONS - 1) * OPERATION_SIZE) .. operation
    .. struct.pack('>I6I6', notAfter, result)
end
