package relocate

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestNewMap(t *testing.T) {
	full := Options{
		Maps: [][2]string{{"/Volumes/data", "/srv/data"}, {"/Users/old/git/maia", "/first"}, {"/same", "/same"}},
		Root: "/Users/old/git/maia", NewRoot: "/new/maia", Home: "/Users/old", NewHome: "/Users/new",
		Prefix: "/usr/local", NewPrefix: "/opt/homebrew",
		OldRoots: []string{"/Users/old/git/maia", "/Users/old", "/Users/old/git", "/Users/old/git/maia/claude", "/Volumes/data/maia", "/old/disk/maia",
			"/old/disk/maia/tools/maia", "/elsewhere", "/elsewhere", "/same/maia", "/usr/local/opt/x", "relative", ""},
	}
	m, ambiguous := NewMap(full)
	want := [][2]string{{"/Users/old/git/maia", "/first"}, {"/usr/local/Caskroom", "/opt/homebrew/Caskroom"}, {"/usr/local/Cellar", "/opt/homebrew/Cellar"},
		{"/usr/local/sbin", "/opt/homebrew/sbin"}, {"/old/disk/maia", "/new/maia"}, {"/usr/local/bin", "/opt/homebrew/bin"}, {"/usr/local/opt", "/opt/homebrew/opt"},
		{"/Volumes/data", "/srv/data"}, {"/Users/old", "/Users/new"}}
	got := m.Pairs()
	byOld := func(a, b [2]string) int { return strings.Compare(a[0], b[0]) }
	if !slices.IsSortedFunc(got, func(a, b [2]string) int { return len(b[0]) - len(a[0]) }) {
		t.Errorf("not the longest first: %v", got)
	}
	slices.SortFunc(got, byOld)
	slices.SortFunc(want, byOld)
	if !slices.Equal(got, want) {
		t.Errorf("pairs\n%v\nwant\n%v", got, want)
	}
	if !slices.Equal(ambiguous, []string{"/elsewhere"}) || m.User() != "old" {
		t.Errorf("ambiguous %v, user %q", ambiguous, m.User())
	}
	m, ambiguous = NewMap(Options{Root: "/a/maia", NewRoot: "/a/maia", Home: "/a", NewHome: "/a", OldRoots: []string{"/a/x"}, Prefix: "/opt/homebrew", NewPrefix: "/opt/homebrew"})
	if len(m.Pairs())+len(ambiguous) != 0 || m.User() != "" {
		t.Errorf("nothing moves, but %v, %v, %q", m.Pairs(), ambiguous, m.User())
	}
	if m, _ = NewMap(Options{}); len(m.Pairs()) != 0 {
		t.Errorf("of nothing: %v", m.Pairs())
	}
}

// moved is a user's move to another name, place and kind of Mac.
func moved() *Map {
	m, _ := NewMap(Options{Root: "/Users/naythan/git/maia", NewRoot: "/srv/R&D <maia>", Home: "/Users/naythan", NewHome: "/Users/kim",
		Prefix: "/usr/local", NewPrefix: "/opt/homebrew", OldRoots: []string{"/Users/naythan", "/Users/naythan/git/maia"}})
	return m
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "nothing": "nothing", "/Users/naythan": "/Users/kim", "/Users/naythan/": "/Users/kim/", "x=/Users/naythan:y": "x=/Users/kim:y",
		"/Users/naythan2": "/Users/naythan2", "/Users/naythan-old": "/Users/naythan-old", "/Users/naythan.bak": "/Users/naythan.bak", "/Users/naythan_": "/Users/naythan_",
		"/Users/naythané": "/Users/naythané", "é/Users/naythan": "é/Users/kim", "x/Users/naythan": "x/Users/naythan", "./Users/naythan": "./Users/naythan",
		"~/Users/naythan": "~/Users/kim", "file:///Users/naythan": "file:///Users/kim", "//Users/naythan": "//Users/kim",
		"/Users/naythan/git/maia/x": "/srv/R&D <maia>/x", "/Users/naythan/git/maia2": "/Users/kim/git/maia2", "/usr/local/bin/x": "/opt/homebrew/bin/x",
		"/usr/local/share": "/usr/local/share", "'/Users/naythan'\"/Users/naythan\"": "'/Users/kim'\"/Users/kim\"", "/Users/naythan\x00": "/Users/naythan\x00",
		"/Users/naythan/Users/naythan": "/Users/kim/Users/naythan", "\xff/Users/naythan\n": "\xff/Users/kim\n",
	} {
		if got, _ := moved().Text([]byte(in)); string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestTextChanges(t *testing.T) {
	const text = "a\n/Users/naythan /usr/local/bin /Users/naythan\n\nmail naythan@x\n/usr/local/sbin"
	out, changes := moved().Text([]byte(text))
	want := []string{"- 2 /Users/naythan /usr/local/bin /Users/naythan", "+ 2 /Users/kim /opt/homebrew/bin /Users/kim", "- 5 /usr/local/sbin", "+ 5 /opt/homebrew/sbin"}
	if got := Diff(changes); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if p := changes[0].Pairs; len(p) != 2 || p[0] != [2]string{"/Users/naythan", "/Users/kim"} {
		t.Errorf("%v", p)
	}
	if left := moved().TextLeftovers(out); !slices.Equal(left, []Leftover{{Line: 4, Text: "mail naythan@x"}}) {
		t.Errorf("%v", left)
	}
	for _, line := range []string{"xnaythan", "naythan2", "naythan-old", "_naythan", "naythané"} {
		if left := moved().TextLeftovers([]byte(line)); left != nil {
			t.Errorf("%q is no word, but %v", line, left)
		}
	}
	m, _ := NewMap(Options{Maps: [][2]string{{"/a\nb", "/c"}}})
	if _, changes := m.Text([]byte("1\n2 /a\nb /a\nb 4\n5")); !reflect.DeepEqual(Diff(changes), []string{"- 2 2 /a\nb /a\nb 4", "+ 2 2 /c /c 4"}) {
		t.Errorf("across lines: %q", Diff(changes))
	}
}

// oracle is docs/relocation.md once more, one place after the other.
func oracle(pairs [][2]string, text string) string {
	const name = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	out := ""
	for i := 0; i < len(text); {
		best := -1
		for n, p := range pairs {
			before := i == 0 || !strings.ContainsRune(name, rune(text[i-1]))
			rest, found := strings.CutPrefix(text[i:], p[0])
			after := rest == "" || !strings.ContainsRune(name, rune(rest[0])) && rest[0] < 0x80
			if before && found && after && (best < 0 || len(p[0]) > len(pairs[best][0])) {
				best = n
			}
		}
		if best < 0 {
			out += text[i : i+1]
			i++
			continue
		}
		out += pairs[best][1]
		i += len(pairs[best][0])
	}
	return out
}

func TestTextAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	pieces := []string{"/a", "/b", "/a/b", "/a/b/c", "a", "/", ".", "-", "_", "é", " ", "\n", "\"", ":", "&", "<", "~", "\xff", "/A"}
	random := func(n int) (s string) {
		for range rng.IntN(n) {
			s += pieces[rng.IntN(len(pieces))]
		}
		return s
	}
	changed := 0
	for range 20_000 {
		var maps [][2]string
		for range rng.IntN(5) {
			maps = append(maps, [2]string{"/" + random(3) + "a", "/" + random(3) + "z"})
		}
		m, _ := NewMap(Options{Maps: maps})
		text := random(20)
		got, changes := m.Text([]byte(text))
		if want := oracle(m.Pairs(), text); string(got) != want {
			t.Fatalf("%q by %v: %q, want %q", text, m.Pairs(), got, want)
		}
		if (len(changes) > 0) != (len(find(m.pairs, text)) > 0) {
			t.Fatalf("%q: %v", text, changes)
		}
		if len(changes) > 0 {
			changed++
		}
	}
	if changed < 2000 {
		t.Errorf("only %d texts were changed", changed)
	}
}
