package repository

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"maia-dr/engine/fsx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a destination of a fixed size.
type memory []byte

func (m memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, fmt.Errorf("%d bytes at %d lie outside %d", len(p), off, len(m))
	}
	return copy(m[off:], p), nil
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], rng.Uint64())
	rand.NewChaCha8(seed).Read(b)
	return b
}

var sameBytes = bytes.Repeat([]byte("x"), 64)

// mixedBytes compress to about a half.
func mixedBytes(rng *rand.Rand, n int) []byte {
	b := randomBytes(rng, n)
	for i := 0; i < n; i += 128 {
		copy(b[i:], sameBytes)
	}
	return b
}

// tree returns the files below dir with their content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func names(files map[string]string) []string {
	var out []string
	for name := range files {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// wantNoTemps fails if a temporary file lies below dir.
func wantNoTemps(t testing.TB, dir string) {
	t.Helper()
	for _, name := range names(tree(t, dir)) {
		if strings.HasSuffix(name, fsx.TempSuffix) {
			t.Errorf("%s was left behind", name)
		}
	}
}
