package engine_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// TestWeakSecrets: a secret that is a word, the name of a file, or known to everybody costs no backup and does not sweep
// half of Maia into the vault; each is told in its own way, every day.
func TestWeakSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	write(t, filepath.Join(r.fix.Root, ".env"), []byte("POSTGRES_PASSWORD=postgres\nNAMED_PASSWORD=Weir-2024\nSHARED_PASSWORD=Everybody-knows-7\n"))
	tools := filepath.Join(r.fix.Root, "claude/tools")
	write(t, filepath.Join(tools, "postgres_sync.py"), []byte("# talks to postgres, as user postgres\n"))
	write(t, filepath.Join(tools, "Weir-2024.md"), []byte("nothing\n"))
	for n := range 30 {
		write(t, filepath.Join(tools, fmt.Sprintf("shared-%d.py", n)), []byte("connect('Everybody-knows-7')\n"))
	}
	for day := range 2 {
		res, err := r.sealed(testPassword)
		if err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, w := range besidesGit(res.Warnings) {
			codes = append(codes, w.Code)
		}
		if slices.Sort(codes); !slices.Equal(codes, []string{"secret_everywhere", "secret_in_name"}) {
			t.Errorf("day %d: %+v", day, res.Warnings)
		}
		for _, s := range res.Manifest.Coverage.Secrets {
			if strings.Contains(string(s.Path), "shared-") || strings.Contains(string(s.Path), "postgres_sync") {
				t.Errorf("%s went into the vault", s.Path)
			}
		}
		st, err := r.engine().Status()
		if err != nil || !slices.ContainsFunc(st.Problems, func(p state.Problem) bool {
			return p.Code == "secret_is_a_word" && strings.Contains(p.Text, "POSTGRES_PASSWORD of .env")
		}) {
			t.Errorf("no finding: %+v, %v", st, err)
		}
	}
	r.verifyAll()
}

// TestSecretRepeated: where a shell file repeats another file's secret in a comment, its redacted copy does not.
func TestSecretRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	value := r.unlikely()
	zshrc := filepath.Join(r.fix.Home, ".zshrc")
	write(t, zshrc, append(read(t, zshrc), []byte("\n# it was "+value+" before\n")...))
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(res.Manifest.Coverage.Secrets, func(s repository.SecretRef) bool { return s.Path == ".zshrc" && s.Captured }) {
		t.Error(".zshrc is not in the vault")
	}
	plain(t, r.repo(), func(name string, b []byte) {
		if bytes.Contains(b, []byte(value)) {
			t.Errorf("it stands in the plain in %s", name)
		}
	})
	to, _, err := r.unsealed(testPassword)
	if err != nil || !bytes.Equal(read(t, filepath.Join(to, "maia-recovered/home/.zshrc")), read(t, zshrc)) {
		t.Errorf(".zshrc is not what it was: %v", err)
	}
}
