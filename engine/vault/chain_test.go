package vault

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"maia-dr/engine/repository"
	"maia-dr/packaging/ci/faults/matrix"
)

// stored is what a backup with a vault has in its folder.
type stored struct{ mac, index, vault []byte }

var errHash = errors.New("hash differs from the index")

// storedBackup makes a backup's vault, index and MAC.
func storedBackup(t testing.TB, p Password, c *Contents) stored {
	t.Helper()
	k := quickKeys(t, p)
	var s stored
	s.vault = k.Seal(encoded(t, c))
	x := &repository.RestoreIndex{
		BackupID: c.BackupID, CreatedAt: time.Unix(1760324400, 0), Program: "test", RepositoryID: "x", Root: "/m", Home: "/h",
		Files: []repository.FileRef{{Path: repository.VaultName, SizeBytes: int64(len(s.vault)), SHA256: repository.SumHash(s.vault)}},
	}
	var err error
	if s.index, err = x.Encode(nil); err != nil {
		t.Fatal(err)
	}
	s.mac = k.MAC(s.index)
	return s
}

// restore is a reader's way to the contents, in the order that FORMAT.md prescribes.
func (s *stored) restore(p Password, folder string) (*Contents, error) {
	m, sum, err := s.authenticate(p, folder)
	if err != nil {
		return nil, err
	}
	return s.openVault(p, folder, m, sum)
}

// authenticate checks the MAC, then the folder's name, and returns the vault's hash.
func (s *stored) authenticate(p Password, folder string) (*MAC, repository.Hash, error) {
	m, err := parseMAC(s.mac)
	if err != nil {
		return nil, repository.Hash{}, err
	}
	if err := m.Check(p, s.index); err != nil {
		return nil, repository.Hash{}, err
	}
	x, err := repository.DecodeRestoreIndex(s.index)
	if err != nil {
		return nil, repository.Hash{}, err
	}
	if x.BackupID != folder {
		return nil, repository.Hash{}, fmt.Errorf("backup %s in folder %s", x.BackupID, folder)
	}
	return m, x.Files[0].SHA256, nil
}

func (s *stored) openVault(p Password, folder string, m *MAC, sum repository.Hash) (*Contents, error) {
	if sum != repository.SumHash(s.vault) {
		return nil, errHash
	}
	plain, err := open(p, m.Iterations, s.vault)
	if err != nil {
		return nil, err
	}
	return Decode(plain, folder)
}

func smallContents() *Contents {
	return &Contents{BackupID: exampleID, Files: []File{{"maia_code", ".env", 0o600, 0, []byte("TOKEN=hunter2hunter2\n")}}}
}

// A flipped byte, whichever and however, is found before the vault is opened: by MAC or by hash.
func TestEveryFlippedByteIsFound(t *testing.T) {
	faults := matrix.Of(t, "15")
	p := password(t, "correct horse")
	s := storedBackup(t, p, smallContents())
	if c, err := s.restore(p, exampleID); err != nil || len(c.Files) != 1 {
		t.Fatalf("the backup as it was made: %v", err)
	}
	if _, err := s.restore(p, "full_20251013_030001"); err == nil {
		t.Error("restored from another folder")
	}
	masks := []byte{0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}
	flip := func(name string, b []byte, masks []byte, restore func() error, want ...error) {
		for i := range b {
			for _, mask := range masks {
				faults.Inject()
				b[i] ^= mask
				err := restore()
				b[i] ^= mask
				if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
					t.Fatalf("%s, byte %d ^ %#x: %v", name, i, mask, err)
				}
			}
		}
	}
	whole := func() error { _, err := s.restore(p, exampleID); return err }
	flip("mac", s.mac, masks, whole, repository.ErrDamaged, repository.ErrNewerFormat, ErrPassword)
	flip("index", s.index, masks, whole, ErrPassword)
	m, sum, err := s.authenticate(p, exampleID)
	if err != nil {
		t.Fatal(err)
	}
	flip("vault", s.vault, []byte{0x01, 0x80}, func() error { _, err := s.openVault(p, exampleID, m, sum); return err }, errHash)

	// Alone, the encryption would have let changes through: that is what the chain is for.
	plain := encoded(t, smallContents())
	s.vault[100] ^= 1
	if got, err := open(p, fewRounds, s.vault); err != nil || bytes.Equal(got, plain) {
		t.Errorf("a flipped byte in the middle: %v", err)
	}
}

// Parts of two backups with the same password do not go together.
func TestSwappedPartsAreFound(t *testing.T) {
	faults := matrix.Of(t, "16")
	p := password(t, "correct horse")
	a, b := storedBackup(t, p, smallContents()), storedBackup(t, p, smallContents())
	for name, s := range map[string]stored{
		"mac":           {b.mac, a.index, a.vault},
		"index":         {a.mac, b.index, a.vault},
		"vault":         {a.mac, a.index, b.vault},
		"mac and index": {b.mac, b.index, a.vault},
		"cut index":     {a.mac, a.index[:len(a.index)-1], a.vault},
		"longer index":  {a.mac, append(bytes.Clone(a.index), 0), a.vault},
		"no mac":        {nil, a.index, a.vault},
	} {
		faults.Inject()
		if _, err := s.restore(p, exampleID); err == nil {
			t.Errorf("%s of another backup is accepted", name)
		}
	}
}

// What is sealed looks random, whatever it was: no plain text, no pattern, and the sizes of secrets do not show.
func TestSealedShowsNothing(t *testing.T) {
	matrix.Count(t, 1, "18")
	const secret = "hunter2hunter2"
	p := password(t, secret)
	c := smallContents()
	c.Files[0].Body = bytes.Repeat([]byte(secret+"\n"), 5000)
	s := storedBackup(t, p, c)
	for _, part := range [][]byte{s.mac, s.index, s.vault} {
		for _, word := range []string{"hunter", ".env", "maia_code", "vault.index", "credentials.json", "ustar"} {
			if bytes.Contains(part, []byte(word)) {
				t.Errorf("%q stands in what is stored", word)
			}
		}
	}
	var counts [256]float64
	body := s.vault[16:]
	for _, v := range body {
		counts[v]++
	}
	entropy := 0.0
	blocks := map[string]bool{}
	for _, n := range counts {
		if n > 0 {
			entropy -= n / float64(len(body)) * math.Log2(n/float64(len(body)))
		}
	}
	for i := 0; i < len(body); i += 16 {
		blocks[string(body[i:i+16])] = true
	}
	if entropy < 7.99 || len(blocks) != len(body)/16 {
		t.Errorf("%.4f bits a byte, %d different blocks of %d", entropy, len(blocks), len(body)/16)
	}
	c.Files[0].Body = c.Files[0].Body[:len(c.Files[0].Body)-1000]
	if other := storedBackup(t, p, c); len(other.vault) != len(s.vault) {
		t.Errorf("%d and %d bytes for secrets of nearly equal size", len(other.vault), len(s.vault))
	}
}
