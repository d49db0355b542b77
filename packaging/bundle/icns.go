package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
)

// An .icns file is the letters "icns", its length, and elements: a type of four letters, a length that counts these eight
// bytes, data. Numbers are big-endian. The large sizes are PNG files. Of the two small ones PNG is not shown everywhere:
// they are three packed planes of colour and, in an element of their own, one of opacity.
var icnsPNG = []struct {
	kind string
	size int
}{
	{"ic11", 32}, {"ic12", 64}, {"ic07", 128}, {"ic13", 256}, {"ic08", 256}, {"ic14", 512}, {"ic09", 512}, {"ic10", 1024},
}

var icnsPlanes = []struct {
	colour, opacity string
	size            int
}{{"is32", "s8mk", 16}, {"il32", "l8mk", 32}}

// Icon makes an .icns file of square PNGs whose sides are powers of two, the largest 512 or 1024 pixels. A size that is
// not among them is made of the next larger one. Sizes larger than the largest are left out: blown up they would look
// worse than what macOS makes of the next smaller.
func Icon(sources ...[]byte) ([]byte, error) {
	images := map[int]*image.NRGBA{}
	largest := 0
	for _, source := range sources {
		decoded, err := png.Decode(bytes.NewReader(source))
		if err != nil {
			return nil, fmt.Errorf("make icon: %w", err)
		}
		side := decoded.Bounds().Dx()
		if side != decoded.Bounds().Dy() || side < 16 || side > 1024 || side&(side-1) != 0 {
			return nil, fmt.Errorf("make icon: a picture of %v is no square of 16, 32, ... 1024 pixels", decoded.Bounds().Size())
		}
		images[side] = premultiplied(decoded)
		largest = max(largest, side)
	}
	if largest < 512 {
		return nil, errors.New("make icon: a picture of at least 512 pixels is needed")
	}
	for s := largest / 2; s >= 16; s /= 2 {
		if images[s] == nil {
			images[s] = half(images[2*s])
		}
	}
	var body bytes.Buffer
	element := func(kind string, data []byte) {
		body.WriteString(kind)
		_ = binary.Write(&body, binary.BigEndian, uint32(len(data)+8)) // a buffer takes everything
		body.Write(data)
	}
	for _, p := range icnsPlanes {
		colour, opacity := planes(images[p.size])
		element(p.colour, colour)
		element(p.opacity, opacity)
	}
	for _, p := range icnsPNG {
		if images[p.size] == nil {
			continue
		}
		var b bytes.Buffer
		if err := png.Encode(&b, straight(images[p.size])); err != nil {
			return nil, fmt.Errorf("make icon: %w", err)
		}
		element(p.kind, b.Bytes())
	}
	out := binary.BigEndian.AppendUint32([]byte("icns"), uint32(body.Len()+8))
	return append(out, body.Bytes()...), nil
}

// premultiplied copies a picture with its colours multiplied by their opacity, in which it can be averaged.
func premultiplied(m image.Image) *image.NRGBA {
	b := m.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, a := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
			out.SetNRGBA(x, y, color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(bl >> 8), uint8(a >> 8)})
		}
	}
	return out
}

// straight undoes premultiplied.
func straight(m *image.NRGBA) *image.NRGBA {
	out := image.NewNRGBA(m.Bounds())
	for i := 0; i < len(m.Pix); i += 4 {
		a := int(m.Pix[i+3])
		out.Pix[i+3] = m.Pix[i+3]
		for c := 0; c < 3 && a > 0; c++ {
			out.Pix[i+c] = uint8(min((int(m.Pix[i+c])*255+a/2)/a, 255))
		}
	}
	return out
}

// half averages four pixels to one.
func half(m *image.NRGBA) *image.NRGBA {
	side := m.Bounds().Dx() / 2
	out := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			at, below := m.PixOffset(2*x, 2*y), m.PixOffset(2*x, 2*y+1)
			to := out.PixOffset(x, y)
			for c := range 4 {
				sum := int(m.Pix[at+c]) + int(m.Pix[at+4+c]) + int(m.Pix[below+c]) + int(m.Pix[below+4+c])
				out.Pix[to+c] = uint8((sum + 2) / 4)
			}
		}
	}
	return out
}

// planes returns a picture's packed colours, plane after plane, and its opacity.
func planes(m *image.NRGBA) (colour, opacity []byte) {
	m = straight(m)
	for c := range 3 {
		plane := make([]byte, 0, len(m.Pix)/4)
		for i := c; i < len(m.Pix); i += 4 {
			plane = append(plane, m.Pix[i])
		}
		colour = append(colour, pack(plane)...)
	}
	for i := 3; i < len(m.Pix); i += 4 {
		opacity = append(opacity, m.Pix[i])
	}
	return colour, opacity
}

// pack is the run-length code of icons: a byte below 128 is one less than the number of bytes that follow as they are, one
// above is 125 more than how often the next byte is repeated, 3 to 130 times.
func pack(b []byte) (out []byte) {
	run := func(i int) int {
		n := 1
		for i+n < len(b) && n < 130 && b[i+n] == b[i] {
			n++
		}
		return n
	}
	for i := 0; i < len(b); {
		if n := run(i); n >= 3 {
			out = append(out, byte(n+125), b[i])
			i += n
			continue
		}
		from := i
		for i < len(b) && i-from < 128 && run(i) < 3 {
			i++
		}
		out = append(out, byte(i-from-1))
		out = append(out, b[from:i]...)
	}
	return out
}

// errIcon says that bytes are no .icns file.
var errIcon = errors.New("not an .icns file")

// Elements lists the elements of an .icns file by their types.
func Elements(b []byte) (map[string][]byte, error) {
	if len(b) < 8 || string(b[:4]) != "icns" || int(binary.BigEndian.Uint32(b[4:])) != len(b) {
		return nil, errIcon
	}
	out := map[string][]byte{}
	for b = b[8:]; len(b) > 0; {
		if len(b) < 8 {
			return nil, errIcon
		}
		n := int(binary.BigEndian.Uint32(b[4:]))
		if n < 8 || n > len(b) {
			return nil, errIcon
		}
		out[string(b[:4])] = b[8:n]
		b = b[n:]
	}
	return out, nil
}
