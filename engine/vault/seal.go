package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"maia-dr/engine/repository"
)

// Rounds of PBKDF2 for a key from a password.
const (
	Iterations    = 600_000 // what a new backup uses
	MinIterations = 600_000 // a reader refuses fewer: guessing would be cheap
	MaxIterations = 10_000_000
)

// MaxPassword is the most bytes that a password may have: openssl reads no more of a line.
const MaxPassword = 512

// Password is a vault password. It prints as [redacted], also inside other values. The zero value is no password. It
// remembers the keys that were derived from it last, and shares them with its copies. Safe for concurrent use.
type Password struct {
	// A function, because of a function fmt prints no more than its address: it does not ask the methods of unexported
	// fields, and there follows a pointer if the verb does not fit.
	known func() *known
}

// known is a password with the keys that were derived from it.
type known struct {
	bytes []byte

	mu      sync.Mutex
	keys    []derivedKey // at most maxKeys, the last used last
	derived int          // how many were worked out, and not remembered
}

// maxKeys is how many keys a password remembers: a backup derives two, counting the passwords one for each backup it
// looks at, and the drill after it needs the two again.
const maxKeys = 16

// derivedKey is a key and what it was derived with, besides the password.
type derivedKey struct {
	salt       salt
	iterations int
	key        []byte
}

// NewPassword returns the password of these bytes, which it copies. It refuses what openssl would read as another one:
// an empty password, one with NUL, line feed or carriage return, and one of more than MaxPassword bytes.
func NewPassword(b []byte) (Password, error) {
	switch {
	case len(b) == 0:
		return Password{}, errors.New("check password: it is empty")
	case bytes.IndexByte(b, 0) >= 0:
		return Password{}, errors.New("check password: it contains a NUL byte")
	case bytes.IndexByte(b, '\n') >= 0:
		return Password{}, errors.New("check password: it contains a line feed")
	case bytes.IndexByte(b, '\r') >= 0:
		return Password{}, errors.New("check password: it contains a carriage return")
	case len(b) > MaxPassword:
		return Password{}, fmt.Errorf("check password: it is longer than %d bytes", MaxPassword)
	}
	k := &known{bytes: bytes.Clone(b)}
	return Password{func() *known { return k }}, nil
}

// Reveal returns a copy of the password's bytes; nil for the zero value.
func (p Password) Reveal() []byte {
	if p.known == nil {
		return nil
	}
	return bytes.Clone(p.known().bytes)
}

const hiddenText = "[redacted]"

// Format implements fmt.Formatter, for every verb.
func (Password) Format(s fmt.State, _ rune) { io.WriteString(s, hiddenText) }

// String implements fmt.Stringer.
func (Password) String() string { return hiddenText }

// MarshalText implements encoding.TextMarshaler, for JSON and loggers.
func (Password) MarshalText() ([]byte, error) { return []byte(hiddenText), nil }

const (
	saltSize  = 8
	keySize   = 32
	saltMagic = "Salted__" // what openssl enc begins its files with
)

type salt [saltSize]byte

// derive is PBKDF2-HMAC-SHA256. What it returns is the caller's own. At Iterations it takes some tenths of a second,
// but for a key that the password remembers.
func (p Password) derive(s salt, iterations, size int) ([]byte, error) {
	if p.known == nil {
		return nil, errors.New("derive key: no password")
	}
	x := p.known()
	if key := x.remembered(s, iterations, size); key != nil {
		return key, nil
	}
	key, err := pbkdf2.Key(sha256.New, string(x.bytes), s[:], iterations, size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	x.remember(derivedKey{s, iterations, bytes.Clone(key)})
	return key, nil
}

// Derivations returns how many keys have been worked out from the password and its copies: those that were remembered
// do not count.
func (p Password) Derivations() int {
	if p.known == nil {
		return 0
	}
	x := p.known()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.derived
}

// remembered returns a copy of a key; nil: it has to be derived.
func (x *known) remembered(s salt, iterations, size int) []byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, k := range x.keys {
		if k.salt == s && k.iterations == iterations && len(k.key) == size {
			x.keys = append(append(x.keys[:i], x.keys[i+1:]...), k)
			return bytes.Clone(k.key)
		}
	}
	return nil
}

// remember takes up a key, in place of the one that was not used for longest. Two that derive the same at once both come here; that does no harm.
func (x *known) remember(k derivedKey) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.derived++
	if len(x.keys) == maxKeys {
		clear(x.keys[0].key)
		x.keys = append(x.keys[:0], x.keys[1:]...)
	}
	x.keys = append(x.keys, k)
}

// cipherKey is the key of a sealed vault: AES-256 key and initialisation vector.
type cipherKey [keySize + aes.BlockSize]byte

func (p Password) cipherKey(s salt, iterations int) (k cipherKey, err error) {
	b, err := p.derive(s, iterations, len(k))
	copy(k[:], b)
	return k, err
}

func (k *cipherKey) block() cipher.Block {
	block, err := aes.NewCipher(k[:keySize])
	if err != nil {
		panic(err) // only for another key size
	}
	return block
}

// Keys are the two keys of one backup, each with its fresh salt. They print as [redacted].
type Keys struct {
	iterations int
	vaultSalt  salt
	macSalt    salt
	derived    func() *derived // a function for the same reason as in Password
}

type derived struct {
	vault cipherKey
	mac   []byte
}

// Format implements fmt.Formatter, for every verb.
func (Keys) Format(s fmt.State, _ rune) { io.WriteString(s, hiddenText) }

// NewKeys draws the salts from random, a cryptographic source, and derives both keys at once on two goroutines: some
// tenths of a second at Iterations, which a caller may spend on other work.
func NewKeys(p Password, iterations int, random io.Reader) (*Keys, error) {
	if err := checkIterations(iterations); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return newKeys(p, iterations, random)
}

func checkIterations(n int) error {
	if n < MinIterations || n > MaxIterations {
		return fmt.Errorf("%d iterations, want %d to %d", n, MinIterations, MaxIterations)
	}
	return nil
}

// newKeys is NewKeys for any number of iterations: tests take few.
func newKeys(p Password, iterations int, random io.Reader) (*Keys, error) {
	k := &Keys{iterations: iterations}
	for _, s := range []*salt{&k.vaultSalt, &k.macSalt} {
		if _, err := io.ReadFull(random, s[:]); err != nil {
			return nil, fmt.Errorf("draw salt: %w", err)
		}
	}
	if k.vaultSalt == k.macSalt {
		return nil, errors.New("draw salt: the random source repeats itself")
	}
	var d derived
	var err1, err2 error
	var wg sync.WaitGroup
	wg.Go(func() { d.vault, err1 = p.cipherKey(k.vaultSalt, iterations) })
	wg.Go(func() { d.mac, err2 = p.derive(k.macSalt, iterations, keySize) })
	wg.Wait()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	k.derived = func() *derived { return &d }
	return k, nil
}

// Seal returns credentials.vault.enc: plain, encrypted as openssl enc -aes-256-cbc -pbkdf2 -md sha256 does. Keys are for
// the contents of one backup: two different ones sealed with the same Keys would show how far they are equal.
func (k *Keys) Seal(plain []byte) []byte {
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := make([]byte, 0, len(saltMagic)+saltSize+len(plain)+pad)
	out = append(out, saltMagic...)
	out = append(out, k.vaultSalt[:]...)
	body := len(out)
	out = append(out, plain...)
	out = append(out, bytes.Repeat([]byte{byte(pad)}, pad)...)
	key := &k.derived().vault
	cipher.NewCBCEncrypter(key.block(), key[keySize:]).CryptBlocks(out[body:], out[body:])
	return out
}

// Open returns what was sealed. It must be called only for a file whose SHA-256 stands in an index that a MAC.Check
// has confirmed. That is what makes changes and wrong passwords known, since AES-CBC by itself finds neither: a wrong
// password passes the test of the padding once in 256 times. And it is why the errors of a bad padding tell nobody
// anything (there is no padding oracle): bytes that somebody else chose never get here.
//
// Anything malformed is repository.ErrDamaged.
func Open(p Password, iterations int, sealed []byte) ([]byte, error) {
	if err := checkIterations(iterations); err != nil {
		return nil, fmt.Errorf("open vault: %v: %w", err, repository.ErrDamaged)
	}
	return open(p, iterations, sealed)
}

// open is Open for any number of iterations: tests take few.
func open(p Password, iterations int, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(saltMagic))
	if !ok {
		return nil, fmt.Errorf("open vault: no %s at its beginning: %w", saltMagic, repository.ErrDamaged)
	}
	if n := len(rest) - saltSize; n < aes.BlockSize || n%aes.BlockSize != 0 {
		return nil, fmt.Errorf("open vault: no whole number of cipher blocks: %w", repository.ErrDamaged)
	}
	key, err := p.cipherKey(salt(rest[:saltSize]), iterations)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	body := rest[saltSize:]
	plain := make([]byte, len(body))
	cipher.NewCBCDecrypter(key.block(), key[keySize:]).CryptBlocks(plain, body)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, fmt.Errorf("open vault: padding: %w", repository.ErrDamaged)
	}
	return plain[:len(plain)-pad], nil
}
