package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"maia-dr/engine/repository"
)

// ErrPassword says that a MAC differs. Which of the two it is cannot be known.
var ErrPassword = errors.New("wrong password, or the index was changed")

// MAC is restore.mac: what makes a backup's index authentic for those who know the password.
type MAC struct {
	Iterations int // of both keys of the backup, MinIterations to MaxIterations
	salt       salt
	sum        [sha256.Size]byte
}

const macName = "maia-restore-mac "

func (m *MAC) encode() []byte {
	return fmt.Appendf(nil, "%s1\npbkdf2-hmac-sha256 %d %x\nhmac-sha256 %x\n", macName, m.Iterations, m.salt, m.sum)
}

// MAC returns restore.mac for the bytes of restore.index.gz.
func (k *Keys) MAC(index []byte) []byte {
	m := &MAC{Iterations: k.iterations, salt: k.macSalt, sum: indexSum(k.derived().mac, index)}
	return m.encode()
}

func indexSum(key, index []byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	h.Write(index)
	h.Sum(sum[:0])
	return sum
}

var macPattern = regexp.MustCompile(`^maia-restore-mac 1\npbkdf2-hmac-sha256 ([1-9][0-9]{0,9}) ([0-9a-f]{16})\nhmac-sha256 ([0-9a-f]{64})\n$`)

// ParseMAC reads restore.mac in its one spelling. Errors are repository.ErrDamaged, also for iterations out of bounds,
// and repository.ErrNewerFormat.
func ParseMAC(b []byte) (*MAC, error) {
	m, err := parseMAC(b)
	if err != nil {
		return nil, err
	}
	if err := checkIterations(m.Iterations); err != nil {
		return nil, fmt.Errorf("read MAC: %v: %w", err, repository.ErrDamaged)
	}
	return m, nil
}

// parseMAC is ParseMAC for any number of iterations: tests take few.
func parseMAC(b []byte) (*MAC, error) {
	f := macPattern.FindStringSubmatch(string(b))
	if f == nil {
		first, _, _ := strings.Cut(string(b), "\n")
		if n, ok := strings.CutPrefix(first, macName); ok && n != "1" {
			return nil, fmt.Errorf("read MAC: %w", repository.ErrNewerFormat)
		}
		return nil, fmt.Errorf("read MAC: not its three lines: %w", repository.ErrDamaged)
	}
	m := new(MAC)
	var err error
	if m.Iterations, err = strconv.Atoi(f[1]); err != nil {
		return nil, fmt.Errorf("read MAC: iterations: %w", repository.ErrDamaged)
	}
	// The pattern has seen to digits and lengths.
	_, _ = hex.Decode(m.salt[:], []byte(f[2]))
	_, _ = hex.Decode(m.sum[:], []byte(f[3]))
	return m, nil
}

// Check compares the MAC with that of the bytes of restore.index.gz as it lies there: ErrPassword if they differ. Nothing
// of the index may be used before. After it, the caller compares the index's backup with the folder's name, and each file
// it uses with its hash in the index; only then may it Open the vault. It takes some tenths of a second.
func (m *MAC) Check(p Password, index []byte) error {
	key, err := p.derive(m.salt, m.Iterations, keySize)
	if err != nil {
		return fmt.Errorf("check MAC: %w", err)
	}
	if sum := indexSum(key, index); !hmac.Equal(sum[:], m.sum[:]) {
		return fmt.Errorf("check MAC: %w", ErrPassword)
	}
	return nil
}
