package relocate

import (
	"bytes"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"

	"maia-dr/engine/vault"
)

// fuzzed is a map whose names are plain and whose new sides hold no old one: applied twice it does what it does once.
func fuzzed() *Map {
	m, _ := NewMap(Options{Root: "/Users/naythan/git/maia", NewRoot: "/srv/maia", Home: "/Users/naythan", NewHome: "/Users/kim",
		Prefix: "/usr/local", NewPrefix: "/opt/homebrew"})
	return m
}

func textSeeds() []string {
	return []string{"", "export MAIA_ROOT=/Users/naythan/git/maia # x\n", "/Users/naythan2:/Users/naythan\n/usr/local/bin", "a\n\n/Users/naythan/Users/naythan\n", "naythan\x00/Users/naythan"}
}

func plistSeeds(t testing.TB) [][]byte {
	return [][]byte{
		[]byte(head + "<dict><key>a</key><string>/Users/naythan/git/maia</string><key>b</key><array><string>naythan</string></array></dict></plist>\n"),
		[]byte("<plist><dict><!-- <string> --><key>/usr/local/bin</key><string >&amp;/usr/local/bin&#x2f;</string></dict></plist>"),
		binary(t, map[string]any{"a": "/Users/naythan", "b": []any{true, int64(1), 0.5, []byte("x")}, "c": map[string]any{}}),
		binary(t, map[string]any{"a": "x"}),
		[]byte(head + "<dict><key>a</key><string><![CDATA[x]]></string></dict></plist>"), nil,
	}
}

// The seeds reach what the targets are about: lists that change, lists that do not, lists that are refused.
func TestSeeds(t *testing.T) {
	changed, same, refused := 0, 0, 0
	for _, b := range plistSeeds(t) {
		switch _, changes, err := fuzzed().Plist(b); {
		case err != nil:
			refused++
		case len(changes) > 0:
			changed++
		default:
			same++
		}
	}
	if changed < 3 || same == 0 || refused < 2 {
		t.Errorf("%d seeds are changed, %d not, %d refused", changed, same, refused)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range textSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := fuzzed()
		out, changes := m.Text(b)
		if !bytes.ContainsRune(b, 0) && string(out) != oracle(m.Pairs(), string(b)) {
			t.Fatalf("%q became %q", b, out)
		}
		in, now := strings.Split(string(b), "\n"), strings.Split(string(out), "\n")
		if len(in) != len(now) {
			t.Fatalf("%d lines became %d", len(in), len(now))
		}
		for _, c := range changes {
			if in[c.Line-1] != c.Old || now[c.Line-1] != c.New || c.Old == c.New || len(c.Pairs) == 0 {
				t.Fatalf("%+v of %q and %q", c, in[c.Line-1], now[c.Line-1])
			}
			in[c.Line-1] = c.New
		}
		if strings.Join(in, "\n") != string(out) {
			t.Fatal("a line that is not named was changed")
		}
		if again, more := m.Text(out); !bytes.Equal(again, out) || more != nil {
			t.Fatalf("%q became %q", out, again)
		}
		for _, l := range m.TextLeftovers(out) {
			if now[l.Line-1] != l.Text || !strings.Contains(l.Text, "naythan") {
				t.Fatalf("%+v", l)
			}
		}
	})
}

// blank replaces what is in <string> elements, as the standard library's parser finds them, and returns them.
func blank(t *testing.T, b []byte) (rest string, texts []string) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(b))
	var out strings.Builder
	done, begin := int64(0), int64(-1)
	for {
		before := dec.InputOffset()
		tok, err := dec.RawToken()
		if err != nil {
			break
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			begin = -1
			if tok.Name.Local == "string" && tok.Name.Space == "" {
				begin = dec.InputOffset()
			}
		case xml.EndElement:
			if begin >= 0 {
				out.Write(b[done:begin])
				texts, done, begin = append(texts, string(b[begin:before])), before, -1
			}
		}
	}
	out.Write(b[done:])
	return out.String(), texts
}

func FuzzPlist(f *testing.F) {
	for _, s := range plistSeeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := fuzzed()
		kept := bytes.Clone(b)
		out, changes, err := m.Plist(b)
		if !bytes.Equal(b, kept) {
			t.Fatal("the input was changed")
		}
		if err != nil || len(changes) == 0 {
			if err != nil && !errors.Is(err, ErrPlist) || !bytes.Equal(out, b) || len(changes) > 0 {
				t.Fatalf("%v, %v, and %q", err, changes, out)
			}
			return
		}
		top, err := vault.ReadPlist(out)
		if err != nil {
			t.Fatalf("%v: %q", err, out)
		}
		again, more, err := m.Plist(out)
		if err != nil || !bytes.Equal(again, out) || more != nil {
			t.Fatalf("%v: %q became %q", err, out, again)
		}
		if isBinary(b) {
			old, err := vault.ReadPlist(b)
			if err != nil {
				t.Fatal(err)
			}
			if want := relocated(m, old); !same(want, top) {
				t.Fatalf("%v\nwant %v", top, want)
			}
			return
		}
		restIn, in := blank(t, b)
		restOut, now := blank(t, out)
		if restIn != restOut || len(in) != len(now) {
			t.Fatalf("outside strings, %q became %q", restIn, restOut)
		}
		for i := range in {
			if want := oracle(m.Pairs(), in[i]); now[i] != want {
				t.Fatalf("%q became %q, want %q", in[i], now[i], want)
			}
		}
	})
}

// relocated maps a property list's strings, one by one.
func relocated(m *Map, v any) any {
	switch v := v.(type) {
	case string:
		return oracle(m.Pairs(), v)
	case []any:
		out := []any{}
		for _, x := range v {
			out = append(out, relocated(m, x))
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = relocated(m, x)
		}
		return out
	}
	return v
}

// same compares property lists; text and binary ones have their numbers in different sizes, and XML has no fractions of
// a second and one line feed for a carriage return.
func same(a, b any) bool {
	x, errA := vault.ReadPlist(appendXML(a))
	y, errB := vault.ReadPlist(appendXML(b))
	return errA == nil && errB == nil && reflect.DeepEqual(x, y)
}
