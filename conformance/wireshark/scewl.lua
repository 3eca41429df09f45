-- SCEWL frames for Wireshark and tshark, with the DTLS inside:
--
--   wireshark -X lua_script:scewl.lua capture.pcapng
--   tshark -X lua_script:scewl.lua -r capture.pcapng
--
-- A record (link type USER0) is a pseudo-header of 4 bytes and a frame; conformance/capture/frame.py describes it. With the
-- session secrets in the capture, DTLS is decrypted without further settings.

local SSS, FAA = 1, 2
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
}
scewl.fields = field
local malformed = ProtoExpert.new("scewl.malformed", "Not a whole SCEWL frame", expert.group.MALFORMED, expert.severity.ERROR)
scewl.experts = { malformed }

local dtls = Dissector.get("dtls")

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
  elseif length > 0 then
    tree:add(field.payload, frame(HEADER))
  end
  return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, scewl)
