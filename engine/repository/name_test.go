package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNameRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 3000 {
		n := Name(randomName(rng))
		if i < len(hostileNames) {
			n = Name(hostileNames[i])
		}
		b, err := json.Marshal(n)
		if err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %q %v", n, b, err)
		}
		var back Name
		if err := json.Unmarshal(b, &back); err != nil || back != n {
			t.Fatalf("%q: %s is read as %q, %v", n, b, back, err)
		}
	}
}

func TestNameSpelling(t *testing.T) {
	for n, want := range map[Name]string{
		"": `""`, "a b": `"a b"`, "日本": `"日本"`, "\xff": `"base64:/w=="`, "base64:": `"base64:YmFzZTY0Og=="`, "Base64:": `"Base64:"`, "xbase64:": `"xbase64:"`,
		"\ufffd": "\"\ufffd\"",
	} {
		if b, err := json.Marshal(n); err != nil || string(b) != want {
			t.Errorf("%q is written as %s (%v), want %s", n, b, err, want)
		}
	}
	for _, bad := range []string{`"base64:!"`, `"base64:YQ"`, `"base64:YR=="`, `"base64:YQ==x"`} {
		var n Name
		if err := json.Unmarshal([]byte(bad), &n); err == nil {
			t.Errorf("%s is read as %q", bad, n)
		}
	}
}

func TestLineRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for i := range 3000 {
		s := string(randomBytes(rng, rng.IntN(40)))
		if i < len(hostileNames) {
			s = hostileNames[i]
		}
		line := EncodeLine(s)
		if line == "" || strings.ContainsAny(line, " \n\t\x00\x7f") {
			t.Fatalf("%q is written as %q", s, line)
		}
		if back, err := DecodeLine(line); err != nil || back != s {
			t.Fatalf("%q: %s is read as %q, %v", s, line, back, err)
		}
	}
	for _, bad := range []string{"", `\`, `\0`, `\00`, `\000`, `a\014`, `\0400`, `\0777`, `\0148`, `\141`, `\n`, `\0141`, "a b", "\n", "\x80", `\0055x`, `--\0055`} {
		if s, err := DecodeLine(bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q is read as %q, %v", bad, s, err)
		}
	}
}

// The shell reads what EncodeLine writes: this is how the restore script gets at names.
func TestLineAgreesWithTheShell(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	var want [][]byte
	var in bytes.Buffer
	for i := range 1500 {
		s := bytes.ReplaceAll(randomBytes(rng, 1+rng.IntN(30)), []byte{0}, []byte{'0'})
		if i < len(hostileNames) {
			s = []byte(hostileNames[i])
		}
		if i >= 1000 && i < 1256 {
			// Every byte before a digit, which must not become part of the escape.
			s = []byte{byte(max(i-1000, 1)), '1', '7'}
		}
		want = append(want, s)
		in.WriteString(EncodeLine(string(s)) + "\n")
	}
	for _, shell := range []string{"bash", "sh", "zsh"} {
		cmd := exec.Command(shell, "-c", `while IFS= read -r line; do printf '%b\0' "$line"; done`)
		cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
		cmd.Stdin = bytes.NewReader(in.Bytes())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", shell, err)
		}
		got := bytes.Split(bytes.TrimSuffix(out, []byte{0}), []byte{0})
		if len(got) != len(want) {
			t.Fatalf("%s: %d names, want %d", shell, len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%s: %s is %q, want %q", shell, EncodeLine(string(want[i])), got[i], want[i])
			}
		}
	}
}
