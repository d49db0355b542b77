package engine_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// TestKeychainItems: the items that the configuration names are in the vault and nowhere else; one that cannot be had is
// a warning.
func TestKeychainItems(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const value = "pat-from-the-keychain-4711"
	write(t, filepath.Join(r.fix.Root, "claude/notes.md"), []byte("the token is "+value+"\n"))
	p := password(t, testPassword)
	e := r.mac().engineWith(func(o *engine.Options) {
		o.Config.Secrets.KeychainItems = []string{"github.com", "servicenow"}
		o.Password = func(context.Context) (vault.Password, error) { return p, nil }
		o.KeychainItem = func(_ context.Context, service string) ([]byte, error) {
			if service == "github.com" {
				return []byte(value), nil
			}
			return nil, errors.New("no such item")
		}
	}, r.now())
	res, err := e.Backup(t.Context(), engine.BackupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := besidesGit(res.Warnings)
	if len(w) != 1 || w[0].Code != "keychain_item_missing" || w[0].Path != "servicenow" {
		t.Errorf("%+v", w)
	}
	if !slices.ContainsFunc(res.Manifest.Coverage.Secrets, func(s repository.SecretRef) bool { return s.Path == "claude/notes.md" && s.Captured }) {
		t.Error("the file in which the value stands is not in the vault")
	}
	plain(t, r.repo(), func(name string, b []byte) {
		if bytes.Contains(b, []byte(value)) {
			t.Errorf("it stands in the plain in %s", name)
		}
	})
	cmd := exec.Command("openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-md", "sha256", "-iter", "600000",
		"-in", filepath.Join(r.repo(), res.BackupID, repository.VaultName), "-pass", "stdin")
	cmd.Stdin = strings.NewReader(testPassword + "\n")
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte(value)) || !bytes.Contains(out, []byte(`"github.com"`)) {
		t.Errorf("it is not in the vault: %d bytes, %v", len(out), err)
	}
}
