package vault

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"
)

// seeds returns the inputs that fuzzing begins with.
func seeds(t testing.TB) map[Kind][]string {
	t.Helper()
	agent := agentPlist("com.maia.x", "/usr/bin/python3", "--token", "abcd", "--key=efgh", "https://u:pw12@h")
	return map[Kind][]string{
		Python: {
			"A_TOKEN = ('ab' \"cd\" + r'\\e')\n# OLD_KEY = 'x1'\nD = {'a': {'password': b\"\"\"p\n\"\"\"}, **x}\n", "x = 1\n",
			"class A:\n  k = os.getenv('A_KEY', f'{x}abc')\n  def f(self, token: str = 'a1'): return ''.join(['a', 'b'])\n", "TOKEN = ((([[[{{{'",
		},
		Env:       {"export A_TOKEN=\"a\\nb\nc\" # x\n# OLD_KEY='x'\nB=${C_TOKEN:-abc}\n", "A=1\n"},
		Shell:     {"alias x='A_TOKEN=\"a b\" c --key d'\nB_KEY=$'\\x41'\"b\"\\ c; cat <<EOF\nit's\nEOF\nset -gx C_KEY d\n", "ls\n", "TOKEN=(a $(b ${c"},
		Plist:     {agent, binaryOf(t, agent), agentPlist("x"), xmlPlist("<!-- A_TOKEN=abcd --><key>PASSWORD</key><integer>1234</integer>"), nestedPlist(10, 2), "bplist00"},
		Netrc:     {"machine h login u password \"p\\\"1\"\nmacdef x\ny\n\ndefault password q", "machine h\n"},
		GitConfig: {"[remote \"o\"]\n\turl = https://u:pw12@h/x ; y\n[a]\n\ttoken = \"b\\\"c\"\n", "[a]\n\tb = c\n"},
		Settings: {
			`{"a": [{"token": "b\u0041"}, "--key", "c"], "pin_password": 12}`, "a:\n  token: b # c\n  key: |\n    d1234567\n    e\nf: {password: 'x'}\n",
			"[a.b]\ntoken = '''x\ny'''\n", "a: 1\n", "{\n// c\n\"token\": \"x\",\n}",
		},
		Text: {"x " + fakeGitHub + "\n" + fakeKey + "\n" + fakeJWT, "nothing"},
	}
}

// Each kind has seeds, some with secrets and some without.
func TestFindSeeds(t *testing.T) {
	all := seeds(t)
	if len(all) != len(kindNames) {
		t.Fatalf("seeds of %d kinds", len(all))
	}
	for kind, list := range all {
		with, without := 0, 0
		for _, s := range list {
			if found, err := Find(kind, []byte(s)); err == nil && slices.ContainsFunc(found, func(s Secret) bool { return !s.Identifier }) {
				with++
			} else {
				without++
			}
		}
		if with == 0 || without == 0 {
			t.Errorf("%v: %d seeds with secrets, %d without", kind, with, without)
		}
	}
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_.~-]+$`)

// wantSound fails on secrets that no text can have.
func wantSound(t *testing.T, kind Kind, text string, found []Secret) {
	t.Helper()
	names := map[string]bool{}
	for _, s := range found {
		if !plainName.MatchString(s.Name) || names[s.Name] {
			t.Fatalf("name %q", s.Name)
		}
		names[s.Name] = true
		if len(s.Value) == 0 || kind != Plist && len(s.Value) > len(text) {
			t.Fatalf("%v has %d bytes of %d", s, len(s.Value), len(text))
		}
		if kind != Plist && (s.Line < 1 || s.Line > strings.Count(text, "\n")+1) {
			t.Fatalf("%v of %d lines", s, strings.Count(text, "\n")+1)
		}
		// Without escapes, a value's bytes stand in the text, in its order.
		if kind != Plist && !strings.Contains(text, `\`) && !strings.Contains(text, "join") {
			rest := text
			for i := range len(s.Value) {
				_, after, ok := strings.Cut(rest, string(s.Value[i:i+1]))
				if !ok {
					t.Fatalf("%v is not made of the text", s)
				}
				rest = after
			}
		}
	}
}

// wantRedacted fails if a copy holds a value.
func wantRedacted(t *testing.T, kind Kind, text string, found []Secret) {
	t.Helper()
	out, err := Redact(kind, []byte(text), found)
	if err != nil {
		if !errors.Is(err, ErrRemains) && !errors.Is(err, ErrUnreadable) {
			t.Fatalf("neither remains nor unreadable: %v", err)
		}
		return
	}
	again, err := Find(kind, out)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range found {
		if s.Identifier {
			continue
		}
		if len(s.Value) >= MinScanned && strings.Contains(string(out), string(s.Value)) {
			t.Fatalf("the value of %v remains", s)
		}
		for _, a := range again {
			if !a.Identifier && string(a.Value) == string(s.Value) {
				t.Fatalf("%v is found again", s)
			}
		}
	}
	if !slices.ContainsFunc(found, func(s Secret) bool { return !s.Identifier }) && kind != Plist && string(out) != text {
		t.Fatalf("nothing was secret, and yet %q became %q", text, out)
	}
}

func FuzzPython(f *testing.F) { fuzzKind(f, Python, "") }

// An assignment is found whatever stands in the lines before it.
func FuzzShell(f *testing.F) { fuzzKind(f, Shell, "\nexport PLANTED_TOKEN=abc1\n") }

func FuzzEnv(f *testing.F) { fuzzKind(f, Env, "\nPLANTED_TOKEN=abc1\n") }

func FuzzNetrc(f *testing.F) { fuzzKind(f, Netrc, "") }

func FuzzGitConfig(f *testing.F) { fuzzKind(f, GitConfig, "") }

func FuzzSettings(f *testing.F) { fuzzKind(f, Settings, "") }

func FuzzText(f *testing.F) { fuzzKind(f, Text, "\n"+fakeOpenAI+"\n") }

func fuzzKind(f *testing.F, kind Kind, planted string) {
	f.Helper()
	for _, s := range seeds(f)[kind] {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := Find(kind, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		wantSound(t, kind, text, found)
		if kind.Redactable() {
			wantRedacted(t, kind, text, found)
		}
		if planted == "" {
			return
		}
		found, err = Find(kind, []byte(text+planted))
		if err != nil || !slices.ContainsFunc(found, func(s Secret) bool { return strings.Contains(planted, string(s.Value)) }) {
			t.Fatalf("the planted one is not among %v, %v", found, err)
		}
	})
}

func FuzzPlist(f *testing.F) {
	for _, s := range seeds(f)[Plist] {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		top, err := ReadPlist(b)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) || top != nil {
				t.Fatalf("%v, %v", top, err)
			}
			return
		}
		found, err := Find(Plist, b)
		if err != nil {
			t.Fatal(err)
		}
		wantSound(t, Plist, string(b), found)
		wantRedacted(t, Plist, string(b), found)
		// What was read once is read again from what it says, with no more secrets than before.
		again, err := plist.Marshal(top, plist.BinaryFormat)
		if err != nil {
			return // a value that the library reads and does not write
		}
		found2, err := Find(Plist, again)
		if err != nil {
			t.Fatalf("%v of %q", err, again)
		}
		if len(found2) > len(found) {
			t.Fatalf("%v became %v", found, found2)
		}
	})
}

// What is looked at in each captured file has to keep up with reading it. Run with -bench.
func BenchmarkText(b *testing.B) {
	for _, name := range []string{"code", "tokens"} {
		text := []byte(strings.Repeat("def skip(self, keys): return secrets.get('ghost', AKA) # eyes -- sk\n", 1<<14))
		if name == "tokens" {
			text = []byte(strings.Repeat("x = '"+fakeGitHub+"'\n", 1<<12))
		}
		b.Run("text="+name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Find(Text, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
