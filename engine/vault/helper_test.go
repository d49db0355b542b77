package vault

import (
	"bytes"
	"crypto/rand"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func password(t testing.TB, s string) Password {
	t.Helper()
	p, err := NewPassword([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fewRounds is what tests take in place of Iterations.
const fewRounds = 2

// quickKeys are keys with fresh salts and few rounds.
func quickKeys(t testing.TB, p Password) *Keys {
	t.Helper()
	k, err := newKeys(p, fewRounds, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// awkwardPasswords are what a shell, an option parser or an encoding could change on the way.
var awkwardPasswords = []string{
	"x", "correct horse battery staple", " leading", "trailing ", "  ", "\ttab\t", `"quoted"`, "it's", "$HOME", "$(id)", "`id`", `back\slash`, `\n`, "-pass", "pass:x",
	"\U0001f511 clé", "e\u0301", "\xff\xfe not UTF-8", "\x01\x7f", "%s%n", "!history", "*", "#", "fd:3", string(bytes.Repeat([]byte("0123456789abcde "), 32)),
}
