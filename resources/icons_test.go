package resources

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"

	"maia-dr/tray/menu"
)

func decode(t *testing.T, name string, form IconForm) image.Image {
	t.Helper()
	b, err := Icon(name, form)
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every icon of the menu is there in every form, of the size the platform wants; a template is black and alpha alone.
func TestIconForms(t *testing.T) {
	for _, icon := range menu.Icons() {
		for form, size := range map[IconForm]int{Template: 32, OnLight: 48, OnDark: 48} {
			m := decode(t, string(icon), form)
			if m.Bounds() != image.Rect(0, 0, size, size) {
				t.Errorf("%s, %s: %v", icon, form, m.Bounds())
			}
			drawn := 0
			for y := range size {
				for x := range size {
					c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
					if c.A > 0 {
						drawn++
					}
					if form == Template && c.A > 0 && (c.R|c.G|c.B) != 0 {
						t.Fatalf("%s: a template with the colour %v", icon, c)
					}
				}
			}
			if drawn < size*size/10 {
				t.Errorf("%s, %s: %d pixels", icon, form, drawn)
			}
		}
	}
	if _, err := Icon("none", Template); err == nil {
		t.Error("an icon that is not there")
	}
}

// shape is what is left of an icon at 16 pixels without its colour: alpha, averaged over 2 by 2 pixels.
func shape(m image.Image) (out [256]int) {
	for y := range 32 {
		for x := range 32 {
			_, _, _, a := m.At(x, y).RGBA()
			out[y/2*16+x/2] += int(a >> 8)
		}
	}
	return out
}

// Any two icons differ in shape where one is at its smallest: the difference is counted in whole pixels of 16 by 16. The
// steps of a run differ less, but they differ.
func TestIconsDifferInShape(t *testing.T) {
	icons := menu.Icons()
	for i, a := range icons {
		for _, b := range icons[:i] {
			diff := 0
			sa, sb := shape(decode(t, string(a), Template)), shape(decode(t, string(b), Template))
			for p := range sa {
				diff += max(sa[p]-sb[p], sb[p]-sa[p])
			}
			pixels, least := float64(diff)/(4*255), 24.0
			if strings.HasPrefix(string(a), "running-") && strings.HasPrefix(string(b), "running-") {
				least = 3
			}
			if pixels < least {
				t.Errorf("%s and %s differ in %.1f of 256 pixels", a, b, pixels)
			}
		}
	}
}

// The pictures are those of the sources, and no source is without pictures.
func TestIconSources(t *testing.T) {
	want := map[string]bool{"app.svg": true}
	for _, icon := range menu.Icons() {
		want[string(icon)+".svg"] = true
	}
	entries, err := os.ReadDir("icons")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".svg") && !want[e.Name()] {
			t.Errorf("%s belongs to no icon", e.Name())
		}
		delete(want, e.Name())
	}
	if len(want) > 0 {
		t.Errorf("no source for %v", want)
	}
}

// The .icns of the bundle is whole: its parts are PNGs of their size and fill it to its end.
func TestAppIcon(t *testing.T) {
	b, err := os.ReadFile("icons/app.icns")
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:4]) != "icns" || int(binary.BigEndian.Uint32(b[4:])) != len(b) {
		t.Fatal("no .icns")
	}
	sizes := map[string]int{"ic07": 128, "ic08": 256, "ic09": 512, "ic10": 1024, "ic11": 32, "ic12": 64, "ic13": 256, "ic14": 512}
	for b = b[8:]; len(b) > 0; {
		kind, n := string(b[:4]), int(binary.BigEndian.Uint32(b[4:]))
		m, err := png.Decode(bytes.NewReader(b[8:n]))
		if err != nil || m.Bounds().Dx() != sizes[kind] || m.Bounds().Dy() != sizes[kind] {
			t.Errorf("%s: %v", kind, err)
		}
		delete(sizes, kind)
		b = b[n:]
	}
	if len(sizes) > 0 {
		t.Errorf("%v are missing", sizes)
	}
}
