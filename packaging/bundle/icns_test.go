package bundle

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"slices"
	"testing"
)

// picture is a square with a gradient, a hard edge, and a see-through corner.
func picture(t testing.TB, side int) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			c := color.NRGBA{uint8(x * 255 / side), uint8(y * 255 / side), 40, 255}
			if x > side/2 {
				c.B = 220
			}
			if x < side/4 && y < side/4 {
				c.A = 0
			}
			m.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// near reports whether two pictures look the same, within what averaging and rounding do.
func near(t *testing.T, what string, a, b image.Image, side int) {
	t.Helper()
	if a.Bounds().Dx() != side || b.Bounds().Dx() != side {
		t.Errorf("%s: %v and %v, want a side of %d", what, a.Bounds(), b.Bounds(), side)
		return
	}
	for y := range side {
		for x := range side {
			r1, g1, b1, a1 := a.At(x, y).RGBA()
			r2, g2, b2, a2 := b.At(x, y).RGBA()
			for _, d := range [][2]uint32{{r1, r2}, {g1, g2}, {b1, b2}, {a1, a2}} {
				if diff := int(d[0]>>8) - int(d[1]>>8); diff < -6 || diff > 6 {
					t.Errorf("%s: at %d,%d it is %v in place of %v", what, x, y, a.At(x, y), b.At(x, y))
					return
				}
			}
		}
	}
}

// sampled is what the picture looks like at a smaller size, computed the plain way.
func sampled(t *testing.T, source []byte, side int) image.Image {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	out := image.NewRGBA64(image.Rect(0, 0, side, side))
	f := m.Bounds().Dx() / side
	for y := range side {
		for x := range side {
			var sum [4]uint64
			for j := range f {
				for i := range f {
					r, g, b, a := m.At(x*f+i, y*f+j).RGBA()
					sum[0], sum[1], sum[2], sum[3] = sum[0]+uint64(r), sum[1]+uint64(g), sum[2]+uint64(b), sum[3]+uint64(a)
				}
			}
			n := uint64(f * f)
			out.SetRGBA64(x, y, color.RGBA64{uint16(sum[0] / n), uint16(sum[1] / n), uint16(sum[2] / n), uint16(sum[3] / n)})
		}
	}
	return out
}

func TestIcon(t *testing.T) {
	source := picture(t, 1024)
	b, err := Icon(source)
	if err != nil {
		t.Fatal(err)
	}
	elements, err := Elements(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(elements) != 12 {
		t.Errorf("%d elements", len(elements))
	}
	for _, p := range icnsPNG {
		m, err := png.Decode(bytes.NewReader(elements[p.kind]))
		if err != nil {
			t.Errorf("%s: %v", p.kind, err)
			continue
		}
		near(t, p.kind, m, sampled(t, source, p.size), p.size)
	}
	for _, p := range icnsPlanes {
		opacity := elements[p.opacity]
		colour := unpack(elements[p.colour])
		if n := p.size * p.size; len(opacity) != n || len(colour) != 3*n {
			t.Errorf("%s: %d and %d bytes", p.colour, len(colour), len(opacity))
		}
	}
	// A size that is given is taken as it is.
	odd := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	var drawn bytes.Buffer
	if err := png.Encode(&drawn, odd); err != nil {
		t.Fatal(err)
	}
	if b, err = Icon(source, drawn.Bytes()); err != nil {
		t.Fatal(err)
	}
	if elements, err = Elements(b); err != nil {
		t.Fatal(err)
	}
	if m, err := png.Decode(bytes.NewReader(elements["ic12"])); err != nil {
		t.Error(err)
	} else {
		near(t, "the given 64", m, odd, 64)
	}
	small, err := Icon(picture(t, 512))
	if err != nil {
		t.Fatal(err)
	}
	if elements, err = Elements(small); err != nil || elements["ic10"] != nil || elements["ic09"] == nil {
		t.Errorf("%v", err)
	}
}

func TestIconRefuses(t *testing.T) {
	wide := image.NewNRGBA(image.Rect(0, 0, 512, 256))
	var b bytes.Buffer
	if err := png.Encode(&b, wide); err != nil {
		t.Fatal(err)
	}
	for _, source := range [][]byte{nil, []byte("x"), b.Bytes(), picture(t, 256), picture(t, 600), picture(t, 2048)} {
		if _, err := Icon(source); err == nil {
			t.Errorf("of %d bytes an icon is made", len(source))
		}
	}
	good, err := Icon(picture(t, 512))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, good[:7], good[:len(good)-1], append(bytes.Clone(good), 0), []byte("icns\x00\x00\x00\x10ic07\x00\x00\x00\x07"), []byte("icns\x00\x00\x00\x0cic07")} {
		if _, err := Elements(bad); err == nil {
			t.Errorf("%d bytes are an icon", len(bad))
		}
	}
}

// unpack is the inverse of pack, as the format is described.
func unpack(b []byte) (out []byte) {
	for len(b) > 1 {
		n := int(b[0])
		if n < 128 {
			out = append(out, b[1:n+2]...)
			b = b[n+2:]
			continue
		}
		out = append(out, bytes.Repeat(b[1:2], n-125)...)
		b = b[2:]
	}
	return out
}

func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		b := make([]byte, r.IntN(700))
		for i := range b {
			b[i] = byte(r.IntN(1 + n%5))
		}
		if got := unpack(pack(b)); !slices.Equal(got, b) {
			t.Fatalf("%v becomes %v", b, got)
		}
	}
	if p := pack(bytes.Repeat([]byte{7}, 261)); !slices.Equal(p, []byte{255, 7, 255, 7, 0, 7}) {
		t.Errorf("%v", p)
	}
}
