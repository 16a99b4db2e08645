"""What FreeRDP's own library makes of bitmaps, pointers and compressed messages, for comparison with ours.

    judge.py SEED COUNT          prints COUNT cases, one JSON object a line
    judge.py SEED COUNT small    the same, but without what is long: test/vectors/rdp/freerdp.jsonl
                                 is of seed golden and 600

A case has what a server would send, and what libfreerdp2 decoded it to: pixels are red, green, blue, unused, or at 15
and 16 bits their own two bytes (its way from 6 bits to 8 is not the usual one); rows from the top. Bitmaps come out of its compressors, and, for orders that its compressors never use, out of random ones that its
decompressor takes.
"""
import base64, ctypes, json, random, sys
from ctypes import byref, c_char_p, c_int, c_uint32, c_void_p

lib = ctypes.CDLL('libfreerdp2.so.2')
for name in ('bitmap_interleaved_context_new', 'freerdp_bitmap_planar_context_new', 'mppc_context_new',
             'freerdp_bitmap_compress_planar'):
    getattr(lib, name).restype = c_void_p


def pixel_format(bits, kind, a, r, g, b):
    return bits << 24 | kind << 16 | a << 12 | r << 8 | g << 4 | b


RGBX32 = pixel_format(32, 3, 0, 8, 8, 8)
RGBA32 = pixel_format(32, 3, 8, 8, 8, 8)
OWN = {15: pixel_format(15, 1, 0, 5, 5, 5), 16: pixel_format(16, 1, 0, 5, 6, 5)}
rle = c_void_p(lib.bitmap_interleaved_context_new(1))
unrle = c_void_p(lib.bitmap_interleaved_context_new(0))


class Palette(ctypes.Structure):
    _fields_ = [('format', c_uint32), ('colors', c_uint32 * 256)]


def compress_interleaved(pixels, width, height, depth):
    room = ctypes.create_string_buffer(8 * width * height + 4096)
    size = c_uint32(len(room))
    done = lib.interleaved_compress(rle, room, byref(size), width, height, pixels, RGBX32, 4 * width, 0, 0, None, depth)
    return room.raw[:size.value] if done else None


def decompress_interleaved(data, width, height, depth, palette=None):
    size = 2 if depth in OWN else 4
    out = ctypes.create_string_buffer(size * width * height)
    done = lib.interleaved_decompress(unrle, data, len(data), width, height, depth, out, OWN.get(depth, RGBX32),
                                      size * width, 0, 0, width, height, byref(palette) if palette else None)
    return out.raw if done else None


def compress_planar(pixels, width, height, runs, alpha):
    planar = c_void_p(lib.freerdp_bitmap_planar_context_new((0x10 if runs else 0) | (0 if alpha else 0x20), width, height))
    room = ctypes.create_string_buffer(8 * width * height + 4096)
    size = c_uint32(len(room))
    made = lib.freerdp_bitmap_compress_planar(planar, pixels, RGBA32, width, height, 4 * width, room, byref(size))
    lib.freerdp_bitmap_planar_context_free(planar)
    # it begins with the first row it is given: a bitmap has the bottom row first
    return room.raw[:size.value] if made else None


def decompress_planar(data, width, height):
    planar = c_void_p(lib.freerdp_bitmap_planar_context_new(0, width, height))
    out = ctypes.create_string_buffer(4 * width * height)
    done = lib.planar_decompress(planar, data, len(data), width, height, out, RGBX32, 4 * width, 0, 0, width, height, 1)
    lib.freerdp_bitmap_planar_context_free(planar)
    return out.raw if done else None


# -- pictures ------------------------------------------------------------------------------------------------------


def picture(random, width, height):
    """Pixels as desktops have them: areas of one colour, text, patterns, photographs, and noise."""
    rows = [[(240, 240, 240)] * width for _ in range(height)]
    for _ in range(random.randrange(12)):
        kind = random.choice(('box', 'text', 'dither', 'noise', 'slope'))
        left, top = random.randrange(width), random.randrange(height)
        right, bottom = random.randint(left, width), random.randint(top, height)
        a, b = (tuple(random.choice((0, 255, random.randrange(256))) for _ in range(3)) for _ in range(2))
        for y in range(top, bottom):
            for x in range(left, right):
                if kind == 'box':
                    rows[y][x] = a
                elif kind == 'text':
                    rows[y][x] = a if random.random() < 0.3 else b
                elif kind == 'dither':
                    rows[y][x] = a if x & 1 else b
                elif kind == 'noise':
                    rows[y][x] = tuple(random.randrange(256) for _ in range(3))
                else:
                    rows[y][x] = (x * 3 & 255, y * 5 & 255, x + y & 255)
    return b''.join(bytes((*pixel, random.randrange(256))) for row in rows for pixel in row)


def orders(random, width, height, depth):
    """Random orders of the interleaved coding that fill a bitmap exactly."""
    size = {8: 1, 15: 2, 16: 2, 24: 3}[depth]
    out, at, total = bytearray(), 0, width * height

    def pixel():
        value = random.choice((0, 2 ** depth - 1, random.randrange(2 ** depth)))
        return value.to_bytes(size, 'little')

    def run(most, base, short, mega, masked=False):
        """The first byte of an order and its length in one of its three forms; how long it is."""
        length = random.randint(1, most)
        if random.random() < 0.5:
            length = random.randint(1, min(most, 40))
        unit, extra = (8, 1) if masked else (1, short + 1)
        if masked and random.random() < 0.5 and most >= 8:
            length = 8 * random.randint(1, min(most // 8, short))
            return bytes((base | length // 8,)), length
        if not masked and length <= short:
            return bytes((base | length,)), length
        if extra <= length < extra + 256 and random.random() < 0.7:
            return bytes((base, length - extra)), length
        return bytes((mega,)) + length.to_bytes(2, 'little'), length

    while at < total:
        # within the first row nothing may reach into the second: decoders differ there
        left = min((width - at if at < width else total - at), 60000)
        kind = random.choice(('bg', 'fg', 'mask', 'color', 'image', 'setfg', 'setmask', 'dither', 'one', 'eight'))
        if kind == 'eight' and left >= 8:
            out.append(random.choice((0xf9, 0xfa)))
            at += 8
        elif kind == 'one':
            out.append(random.choice((0xfd, 0xfe)))
            at += 1
        elif kind == 'dither' and left >= 2:
            head, length = run(left // 2, 0xe0, 15, 0xf8)
            out += head + pixel() + pixel()
            at += 2 * length
        elif kind in ('bg', 'fg', 'color', 'image', 'setfg'):
            base, short, mega = {'bg': (0x00, 31, 0xf0), 'fg': (0x20, 31, 0xf1), 'color': (0x60, 31, 0xf3),
                                 'image': (0x80, 31, 0xf4), 'setfg': (0xc0, 15, 0xf6)}[kind]
            head, length = run(min(left, 300) if kind == 'image' else left, base, short, mega)
            out += head
            if kind in ('color', 'setfg'):
                out += pixel()
            if kind == 'image':
                out += b''.join(pixel() for _ in range(length))
            at += length
        elif kind in ('mask', 'setmask'):
            base, short, mega = {'mask': (0x40, 31, 0xf2), 'setmask': (0xd0, 15, 0xf7)}[kind]
            head, length = run(min(left, 400), base, short, mega, True)
            out += head + (pixel() if kind == 'setmask' else b'') + random.randbytes((length + 7) // 8)
            at += length
    return bytes(out)


# -- messages ------------------------------------------------------------------------------------------------------


class Compressor:
    def __init__(self, level):
        self.level = level
        self.context = c_void_p(lib.mppc_context_new(level, 1))

    def compress(self, message):
        room = ctypes.create_string_buffer(65536 + 64)
        kept = ctypes.create_string_buffer(message, len(message))
        place, size, flags = c_void_p(ctypes.addressof(room)), c_uint32(len(room)), c_uint32(0)
        status = lib.mppc_compress(self.context, kept, len(message), byref(place), byref(size), byref(flags))
        assert status >= 0
        return flags.value, ctypes.string_at(place, size.value)


def message(random, most):
    words = [random.randbytes(random.randint(1, 9)) for _ in range(20)]
    length = random.randint(1, most)
    out = b''
    while len(out) < length:
        out += random.choice(words) * random.choice((1, 1, 1, 40)) if random.random() < 0.9 else random.randbytes(20)
    return out[:length]


# -- cases ---------------------------------------------------------------------------------------------------------


def text(data):
    return base64.b64encode(data).decode()


def bitmap_case(random):
    width, height = 4 * random.randint(1, 24), random.randint(1, 64)
    way = random.choice(('interleaved', 'planar', 'orders'))
    if way == 'planar':
        depth, pixels = 32, None
        while pixels is None:
            # of noise in very narrow bitmaps it makes nothing, or what its own decompressor refuses
            drawn = picture(random, width, height)
            data = compress_planar(drawn, width, height, random.random() < 0.8, random.random() < 0.4)
            pixels = data and decompress_planar(data, width, height)
        return dict(kind='bitmap', depth=depth, width=width, height=height, data=text(data), pixels=text(pixels))
    if way == 'interleaved':
        width = min(width, 64)
    depth = random.choice((15, 16, 24) if way == 'interleaved' else (8, 15, 16, 24))
    palette = None
    if way == 'interleaved':
        data = compress_interleaved(picture(random, width, height), width, height, depth)
    else:
        data = orders(random, width, height, depth)
        if depth == 8:
            palette = Palette(RGBX32, (c_uint32 * 256)(*(random.getrandbits(24) << 8 for _ in range(256))))
    pixels = decompress_interleaved(data, width, height, depth, palette)
    assert pixels is not None, (width, height, depth, data.hex())
    case = dict(kind='bitmap', depth=depth, width=width, height=height, data=text(data), pixels=text(pixels))
    if palette:
        case['palette'] = text(b''.join(color.to_bytes(4, 'big')[:3] for color in palette.colors))
    return case


def pointer_case(random):
    depth = random.choice((1, 24, 32))
    width, height = random.choice((8, 16, 32, 24, 33)), random.choice((1, 16, 32, 31))
    row, and_row = 2 * -(-width * depth // 16), 2 * -(-width // 16)
    xor = b''.join(random.choice((b'\0', b'\xff', random.randbytes(1))) for _ in range(row * height))
    mask = random.randbytes(and_row * height)
    out = ctypes.create_string_buffer(4 * width * height)
    done = lib.freerdp_image_copy_from_pointer_data(out, RGBA32, 4 * width, 0, 0, width, height, xor, len(xor), mask,
                                                    len(mask), depth, None)
    assert done
    return dict(kind='pointer', depth=depth, width=width, height=height, xor=text(xor), and_=text(mask), pixels=text(out.raw))


def bulk_case(random):
    level = random.choice((0, 1))
    compressor = Compressor(level)
    messages = []
    most = random.choice((100, 8000 if level == 0 else 16000))
    for _ in range(random.randint(1, 40)):
        plain = message(random, most)
        flags, data = compressor.compress(plain)
        messages.append(dict(flags=flags, data=text(data), plain=text(plain)))
    return dict(kind='bulk', messages=messages)


def cases(seed, count):
    for number in range(count):
        chance = random.Random(f'{seed} {number}')
        yield chance.choice((bitmap_case, bitmap_case, bitmap_case, bitmap_case, pointer_case, bulk_case))(chance)


if __name__ == '__main__':
    for case in cases(sys.argv[1], int(sys.argv[2])):
        line = json.dumps(case, separators=(',', ':'))
        if 'small' not in sys.argv[3:] or len(line) <= (3000 if case['kind'] != 'bulk' else 9000):
            print(line)
