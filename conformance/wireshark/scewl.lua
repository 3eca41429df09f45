-- SCEWL frames for Wireshark and tshark, with the DTLS inside:
--
--   wireshark -X lua_script:scewl.lua capture.pcapng
--   tshark -X lua_script:scewl.lua -r capture.pcapng
--
-- A record (link type USER0) is a pseudo-header of 4 bytes and a frame; conformance/capture/frame.py describes it. With the
-- session secrets in the capture, DTLS is decrypted without further settings.

local SSS, FAA = 1, 2
local CPU = 2 -- the link
local HEADER, PSEUDO = 8, 4
local LINKS = { [0] = "radio", [1] = "SSS wire", [2] = "CPU bus" }

local scewl = Proto("scewl", "SCEWL")
local field = {
  link = ProtoField.uint8("scewl.link", "Link", base.DEC, LINKS),
  towards = ProtoField.uint8("scewl.towards", "Direction", base.DEC,
    { [0] = "sent by the controller", [1] = "towards the controller" }),
  sed = ProtoField.uint16("scewl.sed", "SED", base.DEC),
  magic = ProtoField.bytes("scewl.magic", "Magic"),
  target = ProtoField.uint16("scewl.target", "Target", base.DEC),
  source = ProtoField.uint16("scewl.source", "Source", base.DEC),
  length = ProtoField.uint16("scewl.length", "Length", base.DEC),
  payload = ProtoField.bytes("scewl.payload", "Payload"),
  dev = ProtoField.uint16("scewl.registration.dev", "Device", base.DEC),
  op = ProtoField.int16("scewl.registration.op", "Operation", base.DEC,
    { [0] = "register", [1] = "deregister", [-1] = "refused" }),
  ca_length = ProtoField.uint16("scewl.registration.ca_length", "Length of the CA certificate", base.DEC),
  certificate_length = ProtoField.uint16("scewl.registration.certificate_length", "Length of the certificate", base.DEC),
  key_length = ProtoField.uint16("scewl.registration.key_length", "Length of the private key", base.DEC),
}
scewl.fields = field
local malformed = ProtoExpert.new("scewl.malformed", "Not a whole SCEWL frame", expert.group.MALFORMED, expert.severity.ERROR)
scewl.experts = { malformed }

local dtls = Dissector.get("dtls")
local data = Dissector.get("data")

-- What the SED and the SSS say inside DTLS, and the CPU and its controller in the clear (protocol page, section 6). A response may
-- span several records; only one that is whole in its record is taken apart.
local OPS = { [0] = "register", [1] = "deregister", [-1] = "refused" }
local REQUEST, RESPONSE = 4, 10

local function registration(buffer, tree, name)
  local size = buffer:len()
  local whole = size == REQUEST
  if size >= RESPONSE then
    whole = size == RESPONSE + buffer(4, 2):le_uint() + buffer(6, 2):le_uint() + buffer(8, 2):le_uint()
  end
  if not whole then return end
  local op = buffer(2, 2):le_int()
  local inner = tree:add(scewl, buffer(), string.format("SCEWL %s: %s, device %d", name, OPS[op] or op, buffer(0, 2):le_uint()))
  inner:add_le(field.dev, buffer(0, 2))
  inner:add_le(field.op, buffer(2, 2))
  if size >= RESPONSE then
    inner:add_le(field.ca_length, buffer(4, 2))
    inner:add_le(field.certificate_length, buffer(6, 2))
    inner:add_le(field.key_length, buffer(8, 2))
  end
end

-- A heuristic of DTLS, so that DTLS's own fields stay what they are without it. The ports are SCEWL ids.
scewl:register_heuristic("dtls", function(buffer, pinfo, root)
  if pinfo.src_port ~= SSS and pinfo.dst_port ~= SSS then return false end
  registration(buffer, root, pinfo.src_port == SSS and "response" or "request")
  data:call(buffer, pinfo, root)
  return true
end)

local function party(id)
  return ({ [0] = "broadcast", [SSS] = "SSS", [FAA] = "FAA" })[id] or ("SED " .. id)
end

-- Wireshark tells DTLS sessions apart by addresses and ports. A SCEWL id becomes the address 0.0.x.y, which nobody has.
local function address(id)
  return Address.ip(string.format("0.0.%d.%d", math.floor(id / 256), id % 256))
end

function scewl.dissector(buffer, pinfo, root)
  if buffer:len() < PSEUDO then return 0 end
  local tree = root:add(scewl, buffer())
  tree:add(field.link, buffer(0, 1))
  tree:add(field.towards, buffer(1, 1))
  tree:add_le(field.sed, buffer(2, 2))
  pinfo.cols.protocol = "SCEWL"
  local link = buffer(0, 1):uint()

  local frame = buffer(PSEUDO):tvb()
  local whole = frame:len() >= HEADER and frame(0, 2):string() == "SC" and frame:len() == HEADER + frame(6, 2):le_uint()
  if not whole then
    pinfo.cols.info = string.format("%s: not a whole frame, %d bytes", LINKS[link] or "?", frame:len())
    tree:add_proto_expert_info(malformed)
    return buffer:len()
  end
  local target, source, length = frame(2, 2):le_uint(), frame(4, 2):le_uint(), frame(6, 2):le_uint()
  tree:add(field.magic, frame(0, 2))
  tree:add_le(field.target, frame(2, 2))
  tree:add_le(field.source, frame(4, 2))
  tree:add_le(field.length, frame(6, 2))
  tree:append_text(string.format(", %s, %s to %s, %d bytes", LINKS[link] or "?", party(source), party(target), length))
  pinfo.cols.info = string.format("%s: %s to %s, %d bytes", LINKS[link] or "?", party(source), party(target), length)
  pinfo.src, pinfo.dst = address(source), address(target)

  -- Messages of the CPU and of the FAA are no DTLS.
  if length > 0 and link < 2 and source ~= FAA and target ~= FAA then
    pinfo.src_port, pinfo.dst_port = source, target
    dtls:call(frame(HEADER):tvb(), pinfo, root)
    pinfo.cols.info:prepend((LINKS[link] or "?") .. ": ")
  elseif length > 0 then
    tree:add(field.payload, frame(HEADER))
    if link == CPU and length == REQUEST and (source == SSS or target == SSS) then
      registration(frame(HEADER):tvb(), tree, target == SSS and "request" or "answer")
    end
  end
  return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, scewl)
