package vault

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

func TestNewPasswordRefuses(t *testing.T) {
	for text, rule := range map[string]string{
		"":                                "empty",
		"a\x00b":                          "NUL",
		"a\nb":                            "line feed",
		"secret\n":                        "line feed",
		"a\rb":                            "carriage return",
		strings.Repeat("x", 513):          "longer than 512",
		strings.Repeat("x", 1024):         "longer than 512",
		strings.Repeat("\U0001f511", 129): "longer than 512",
	} {
		if _, err := NewPassword([]byte(text)); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%d bytes: %v does not say %q", len(text), err, rule)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestPasswordIsCopied(t *testing.T) {
	b := []byte("original")
	p, err := NewPassword(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	clear(p.Reveal())
	if string(p.Reveal()) != "original" {
		t.Error("the password changed with a caller's bytes")
	}
	if (Password{}).Reveal() != nil {
		t.Error("the zero value has bytes")
	}
}

func TestNothingPrintsSecrets(t *testing.T) {
	const secret = "hunter2hunter2"
	p := password(t, secret)
	k := quickKeys(t, p)
	source := Source{"shell_configs", ".zshrc", map[string]string{"TOKEN": secret}}
	file := File{Component: "shell_configs", Path: ".zshrc", Body: []byte(secret)}
	c := Contents{Credentials: Credentials{Sources: []Source{source}}, Files: []File{file}, GitBundle: []byte(secret)}
	type nested struct {
		p       Password
		Visible Password
		k       *Keys
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "p", p, "k", k, "c", c)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "p", p, "k", k)
	asJSON, err := json.Marshal(map[string]any{"p": p, "n": nested{p, p, k}})
	if err != nil {
		t.Fatal(err)
	}
	outputs := []string{logged.String(), string(asJSON), p.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "% x", "%t", "%T %v"} {
		for _, v := range []any{p, &p, k, *k, c, &c, c.Credentials, source, file, &file, nested{p, p, k}, &nested{p, p, k}, []Password{p}, map[string]Password{"p": p}} {
			outputs = append(outputs, fmt.Sprintf(verb, v))
		}
	}
	keys := [][]byte{[]byte(secret), k.derived().mac, k.derived().vault[:keySize]}
	for _, out := range outputs {
		for _, key := range keys {
			for _, form := range []string{string(key), hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), fmt.Sprintf("% x", key), strings.Trim(fmt.Sprintf("%v", key), "[]")} {
				if strings.Contains(out, form) {
					t.Errorf("a secret is printed in %d bytes that begin with %.20q", len(out), out)
				}
			}
		}
	}
	if got := fmt.Sprintf("%v %x %s", p, p, k); got != "[redacted] [redacted] [redacted]" {
		t.Errorf("printed as %q", got)
	}
}

// The second vector of RFC 7914, section 11: key and initialisation vector are such bytes.
func TestPBKDF2Vector(t *testing.T) {
	const want = "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"
	got, err := pbkdf2.Key(sha256.New, "Password", []byte("NaCl"), 80000, 64)
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s: %v", got, want, err)
	}
}

// What openssl 3.0 made of this password, these salts and 600,000 iterations:
//
//	openssl enc -aes-256-cbc -pbkdf2 -iter 600000 -md sha256 -S 0123456789abcdef
//	openssl enc -aes-256-cbc -pbkdf2 -iter 600000 -md sha256 -S fedcba9876543210 -P
//	openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY
func TestKnownAnswers(t *testing.T) {
	matrix.Count(t, 1, "18")
	const plain, index = "one secret, sealed", "the index"
	sealed, _ := hex.DecodeString("53616c7465645f5f" + "0123456789abcdef" + "94d19e36547916ab3a83dd08b7fc45af83e708c8849b07aecd637c524c814d3c")
	mac := "maia-restore-mac 1\npbkdf2-hmac-sha256 600000 fedcba9876543210\nhmac-sha256 eaded5abc0e396bb52eaeb82600ab805e6c98242eb9e3269992a390a5f5011e9\n"
	salts, _ := hex.DecodeString("0123456789abcdef" + "fedcba9876543210")
	p := password(t, "pass word")

	k, err := NewKeys(p, Iterations, bytes.NewReader(salts))
	if err != nil {
		t.Fatal(err)
	}
	if got := k.Seal([]byte(plain)); !bytes.Equal(got, sealed) {
		t.Errorf("sealed %x, want %x", got, sealed)
	}
	if got := k.MAC([]byte(index)); string(got) != mac {
		t.Errorf("MAC\n%s\nwant\n%s", got, mac)
	}
	m, err := ParseMAC([]byte(mac))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(p, []byte(index)); err != nil {
		t.Error(err)
	}
	if got, err := Open(p, m.Iterations, sealed); err != nil || string(got) != plain {
		t.Errorf("opened %q: %v", got, err)
	}
}

func TestNewKeysRefuses(t *testing.T) {
	p := password(t, "x")
	for _, n := range []int{-1, 0, 1, MinIterations - 1, MaxIterations + 1} {
		if _, err := NewKeys(p, n, rand.Reader); err == nil {
			t.Errorf("%d iterations are accepted", n)
		}
		if _, err := Open(p, n, make([]byte, 32)); !errors.Is(err, repository.ErrDamaged) {
			t.Errorf("%d iterations: %v", n, err)
		}
	}
	if _, err := newKeys(Password{}, fewRounds, rand.Reader); err == nil {
		t.Error("no password is accepted")
	}
	if _, err := newKeys(p, fewRounds, bytes.NewReader(make([]byte, 16))); err == nil {
		t.Error("one salt for both keys is accepted")
	}
	if _, err := newKeys(p, fewRounds, bytes.NewReader([]byte("123456789012345"))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that ends: %v", err)
	}
}

func TestSaltsAreFresh(t *testing.T) {
	faults := matrix.Of(t, "18")
	p := password(t, "x")
	seen := map[salt]bool{}
	bodies := map[string]bool{}
	const n = 500
	for range n {
		faults.Inject()
		k := quickKeys(t, p)
		seen[k.macSalt], seen[k.vaultSalt] = true, true
		sealed := k.Seal([]byte("the same contents every day"))
		if !bytes.Equal(sealed[len(saltMagic):][:saltSize], k.vaultSalt[:]) {
			t.Fatal("sealed with another salt than it says")
		}
		bodies[string(sealed[len(saltMagic)+saltSize:])] = true
	}
	if len(seen) != 2*n || len(bodies) != n {
		t.Errorf("%d salts and %d bodies, want %d and %d", len(seen), len(bodies), 2*n, n)
	}
}

func TestSealAndOpen(t *testing.T) {
	for i, text := range awkwardPasswords {
		p := password(t, text)
		k := quickKeys(t, p)
		for _, n := range []int{0, 1, 15, 16, 17, 4096, 4095, 100_001} {
			plain := bytes.Repeat([]byte{0xa5}, n)
			sealed := k.Seal(plain)
			if len(sealed) != 16+n/16*16+16 {
				t.Fatalf("%d bytes sealed to %d", n, len(sealed))
			}
			if n > 32 && bytes.Contains(sealed, plain[:16]) {
				t.Fatal("a block stands in plain")
			}
			if got, err := open(p, fewRounds, sealed); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("password %d, %d bytes: %v", i, n, err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	p := password(t, "x")
	k := quickKeys(t, p)
	good := k.Seal([]byte("0123456789"))
	encrypt := func(block []byte) []byte { // one block as it is, without padding of its own
		return k.Seal(block)[:32]
	}
	for name, b := range map[string][]byte{
		"empty":          {},
		"no magic":       good[8:],
		"other magic":    append([]byte("salted__"), good[8:]...),
		"salt only":      good[:16],
		"half a block":   good[:24],
		"too long":       append(bytes.Clone(good), 0),
		"padding 0":      encrypt([]byte("123456789012345\x00")),
		"padding 17":     encrypt([]byte("123456789012345\x11")),
		"padding uneven": encrypt([]byte("123456789012\x04\x04\x03\x04")),
		"padding cut":    encrypt([]byte("1234567890\x00\x10\x10\x10\x10\x10")),
	} {
		if got, err := open(p, fewRounds, b); !errors.Is(err, repository.ErrDamaged) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if got, err := open(p, fewRounds, encrypt([]byte("123456789012\x04\x04\x04\x04"))); err != nil || string(got) != "123456789012" {
		t.Errorf("a good padding: %v", err)
	}
	if _, err := open(Password{}, fewRounds, good); err == nil {
		t.Error("opened without a password")
	}
}

func BenchmarkNewKeys(b *testing.B) {
	p := password(b, "correct horse battery staple")
	b.Run("iterations=600000", func(b *testing.B) {
		for b.Loop() {
			if _, err := NewKeys(p, Iterations, rand.Reader); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A key is derived once for a password and its copies, whoever asks for it; it is nobody else's, and the memory is bounded.
func TestKeysAreRemembered(t *testing.T) {
	p := password(t, "x")
	if (Password{}).Derivations() != 0 || p.Derivations() != 0 {
		t.Error("keys were derived that nobody asked for")
	}
	k := quickKeys(t, p)
	again := p
	for range 3 {
		if _, err := open(again, fewRounds, k.Seal([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		m, err := parseMAC(k.MAC([]byte("index")))
		if err != nil || m.Check(p, []byte("index")) != nil {
			t.Fatalf("%v", err)
		}
	}
	if n := p.Derivations(); n != 2 {
		t.Errorf("%d keys were derived, want 2", n)
	}
	first, err := p.derive(salt{1}, fewRounds, keySize)
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.Clone(first)
	clear(first)
	if second, err := p.derive(salt{1}, fewRounds, keySize); err != nil || !bytes.Equal(second, kept) {
		t.Errorf("a caller's key is the one that is remembered: %v", err)
	}
	for name, other := range map[string]func() ([]byte, error){
		"salt":       func() ([]byte, error) { return p.derive(salt{2}, fewRounds, keySize) },
		"iterations": func() ([]byte, error) { return p.derive(salt{1}, fewRounds+1, keySize) },
		"password":   func() ([]byte, error) { return password(t, "y").derive(salt{1}, fewRounds, keySize) },
	} {
		if key, err := other(); err != nil || bytes.Equal(key, kept) {
			t.Errorf("another %s has the same key: %v", name, err)
		}
	}
	if key, err := p.derive(salt{1}, fewRounds, keySize+1); err != nil || len(key) != keySize+1 {
		t.Errorf("a longer key has %d bytes: %v", len(key), err)
	}
	for n := range byte(3 * maxKeys) {
		if _, err := p.derive(salt{9, n}, fewRounds, keySize); err != nil {
			t.Fatal(err)
		}
	}
	if x := p.known(); len(x.keys) != maxKeys || x.keys[maxKeys-1].salt != (salt{9, 3*maxKeys - 1}) {
		t.Errorf("%d keys are remembered, want the last %d", len(x.keys), maxKeys)
	}
	// What is used stays.
	n := p.Derivations()
	for i := range byte(2 * maxKeys) {
		for _, s := range []salt{{9, 3*maxKeys - 1}, {8, i}} {
			if _, err := p.derive(s, fewRounds, keySize); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := p.Derivations() - n; got != 2*maxKeys {
		t.Errorf("%d keys were derived, want %d", got, 2*maxKeys)
	}
	n = p.Derivations()
	if key, err := p.derive(salt{1}, fewRounds, keySize); err != nil || !bytes.Equal(key, kept) || p.Derivations() != n+1 {
		t.Errorf("a key that was forgotten is another when it is derived again: %v", err)
	}
}

// Many may ask at once.
func TestKeysAreRememberedConcurrently(t *testing.T) {
	p := password(t, "x")
	want, err := p.derive(salt{1}, fewRounds, keySize)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range byte(8) {
		wg.Go(func() {
			for n := range byte(50) {
				if _, err := p.derive(salt{2, g, n}, fewRounds, keySize); err != nil {
					t.Error(err)
				}
				if key, err := p.derive(salt{1}, fewRounds, keySize); err != nil || !bytes.Equal(key, want) {
					t.Errorf("another key: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
