package vault

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

const exampleMAC = "maia-restore-mac 1\npbkdf2-hmac-sha256 600000 0123456789abcdef\nhmac-sha256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"

func macSeeds() []string {
	replace := func(from, to string) string { return strings.Replace(exampleMAC, from, to, 1) }
	return []string{
		exampleMAC,
		replace("600000", "10000000"),
		"",
		replace(" 1\n", " 2\n"),
		replace("600000", "599999"), replace("600000", "10000001"), replace("600000", "0600000"), replace("600000", "+600000"), replace("600000", "-1"),
		replace("600000", "99999999999999999999"), replace("600000", "9999999999"),
		replace("abcdef\n", "ABCDEF\n"), replace("sha256 0", "sha256 A"), replace("abcdef\n", "abcde\n"), replace("abcdef\n", "abcdef \n"),
		replace("\n", "\r\n"), replace("\n", "\n\n"), exampleMAC + "\n", exampleMAC + "x", strings.TrimSuffix(exampleMAC, "\n"), " " + exampleMAC,
		replace("sha256 6", "sha1 6"), replace("hmac-sha256 0123", "hmac-sha256  0123"), replace("0123456789abcdef0", "0"),
		exampleMAC[:40],
	}
}

func TestParseMAC(t *testing.T) {
	for i, s := range macSeeds() {
		m, err := ParseMAC([]byte(s))
		want := repository.ErrDamaged
		if strings.HasPrefix(s, "maia-restore-mac 2") || strings.HasPrefix(s, "maia-restore-mac 1\r") {
			want = repository.ErrNewerFormat
		}
		switch {
		case i < 2 && (err != nil || string(m.encode()) != s):
			t.Errorf("%q: %v", s, err)
		case i >= 2 && !errors.Is(err, want):
			t.Errorf("%q: %v, want %v", s, err, want)
		}
	}
}

// A MAC that is accepted is written in the same bytes, and is of bounds.
func FuzzParseMAC(f *testing.F) {
	for _, s := range macSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMAC(b)
		if err != nil {
			if !errors.Is(err, repository.ErrDamaged) && !errors.Is(err, repository.ErrNewerFormat) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(m.encode(), b) || m.Iterations < MinIterations || m.Iterations > MaxIterations {
			t.Fatalf("%q is read as %q", b, m.encode())
		}
	})
}

func TestCheck(t *testing.T) {
	p := password(t, "correct horse")
	index := []byte("some index")
	m, err := parseMAC(quickKeys(t, p).MAC(index))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(p, index); err != nil {
		t.Error(err)
	}
	if err := m.Check(p, nil); !errors.Is(err, ErrPassword) {
		t.Errorf("another index: %v", err)
	}
	if err := m.Check(Password{}, index); err == nil || errors.Is(err, ErrPassword) {
		t.Errorf("no password: %v", err)
	}
	for _, wrong := range []string{"correct horse ", " correct horse", "Correct horse", "correct  horse", "correct horsf", "correct horse\x01"} {
		if err := m.Check(password(t, wrong), index); !errors.Is(err, ErrPassword) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// None of 10,000 wrong passwords is accepted. The encryption alone takes some of them for right: that is why the MAC comes
// first.
func TestWrongPasswords(t *testing.T) {
	faults := matrix.Of(t, "19")
	index := []byte("some index")
	k := quickKeys(t, password(t, "the right one"))
	sealed := k.Seal(bytes.Repeat([]byte("contents "), 100))
	m, err := parseMAC(k.MAC(index))
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for i := range 10_000 {
		faults.Inject()
		p := password(t, fmt.Sprintf("wrong %d", i))
		if err := m.Check(p, index); !errors.Is(err, ErrPassword) {
			t.Fatalf("password %d: %v", i, err)
		}
		if _, err := open(p, fewRounds, sealed); err == nil {
			opened++
		}
	}
	if opened == 0 || opened > 100 {
		t.Errorf("%d of 10,000 wrong passwords have a good padding, about 40 are to be expected", opened)
	}
}
