package resources

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inTime runs the script as run does, and fails the test if it takes for ever.
func (m *machine) inTime(limit time.Duration, script string, args ...string) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), limit)
	defer cancel()
	done := make(chan result, 1)
	cmd := m.command(script, args...)
	go func() {
		out, _ := cmd.CombinedOutput() // its exit code is looked at
		done <- result{cmd.ProcessState.ExitCode(), string(out)}
	}()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		r := <-done
		m.t.Fatalf("it was not done after %v:\n%s", limit, r.text)
		return r
	}
}

// TestNoFile: something in the repository that has the name of a file and is none is missing, and nobody waits for it; nor is
// anything read that is longer than it was.
func TestNoFile(t *testing.T) {
	t.Parallel()
	put := map[string]func(path string) error{
		"FIFO":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"endless": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
		},
	}
	dry := []string{"--dry-run"}
	for _, c := range []struct {
		what, name string
		args       []string
		code       int
		says       string
	}{
		{"FIFO", "launchagents.tar.gz", dry, 0, "launchagents.tar.gz is missing or cannot be read"},
		{"device", "launchagents.tar.gz", dry, 0, "launchagents.tar.gz is missing or cannot be read"},
		{"folder", "shell_configs.tar.gz", dry, 0, "shell_configs.tar.gz is missing or cannot be read"},
		{"endless", "files.jsonl.gz", dry, 0, "files.jsonl.gz is damaged"},
		{"FIFO", "credentials.vault.enc", nil, 3, "credentials.vault.enc is missing or cannot be read"},
		{"FIFO", "restore.mac", nil, 12, "the password does not prove"},
		{"FIFO", "restore.index.gz", dry, 1, "restore.index.gz is missing"},
		{"device", "backup_manifest.json", dry, 1, "it was never finished"},
		{"FIFO", "../chunks/0", dry, 0, " bytes instead of "},
		{"device", "../chunks/0", dry, 0, " bytes instead of "},
		{"endless", "../chunks/0", nil, 3, "does not have the size it had"},
	} {
		t.Run(c.what+" "+filepath.Base(c.name), func(t *testing.T) {
			t.Parallel()
			b := vaultRepository(t, nil)
			path := filepath.Join(b.dir, b.id, c.name)
			if c.name == "../chunks/0" {
				chunks, err := filepath.Glob(filepath.Join(b.dir, "chunks/*"))
				if err != nil {
					t.Fatal(err)
				}
				path = chunks[0]
			}
			if err := errors.Join(os.Remove(path), put[c.what](path)); err != nil {
				t.Fatal(err)
			}
			m := newMachine(t, "tar", "perl")
			args := c.args
			if args == nil {
				args = []string{"--yes", "--vault-password-file", m.passwordFile("correct horse")}
			}
			r := m.inTime(time.Minute, filepath.Join(b.dir, "restore_maia.sh"), append([]string{"--backup", b.id, "--to", newTarget(t)}, args...)...)
			r.want(t, c.code, c.says)
		})
	}
}

// strippedRepository is one with a backup that has a vault, and a newer one that has none.
func strippedRepository(t testing.TB) (b, forged *builder) {
	t.Helper()
	b = vaultRepository(t, func(b *builder) {
		// An unproven one contacts nobody, either.
		b.git = []string{"git state " + strings.Repeat("0", 40) + " main 0 0 0 0", "git remote origin https://example.invalid/x.git"}
	})
	forged = smallRepository(t, func(b *builder) {
		b.id = "full_20990101_000000"
		b.git = []string{"git state " + strings.Repeat("0", 40) + " main 0 0 0 0", "git remote origin https://example.invalid/x.git"}
	})
	for _, dir := range []string{"chunks", forged.id} {
		entries, err := os.ReadDir(filepath.Join(forged.dir, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			body, err := os.ReadFile(filepath.Join(forged.dir, dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(b.dir, dir, e.Name()), body)
		}
	}
	return b, forged
}

// TestStripped: a backup from which the vault was taken, or that never had one, does not pass where a password is given: the
// newest one that it may prove is taken, and one that is asked for by name is refused. Without a password it is said.
func TestStripped(t *testing.T) {
	t.Parallel()
	b, forged := strippedRepository(t)
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "tar", "perl")
	to := newTarget(t)
	password := m.passwordFile("correct horse")
	args := []string{"--to", to, "--dry-run", "--vault-password-file", password}
	m.run(script, args...).want(t, 0, forged.id+" is passed over: ", "Restore "+b.id, "  authenticated: ")
	m.run(script, append(args, "--backup", forged.id)...).want(t, 12, "the password does not prove that "+forged.id)
	m.run(script, "--to", to, "--dry-run", "--no-git").want(t, 0, "Restore "+forged.id, "not authenticated: this backup has no vault and others have one")
	m.run(script, "--to", to, "--dry-run").want(t, 0, "  git    the history is not brought back, as nothing proves")
	m.run(script, "--to", to, "--yes", "--only", "git").want(t, 1, "there is no Maia")
	// Where nobody is asked, it does not say where it goes either.
	m.run(script, "--yes").want(t, 2, "only a proven backup says where it goes", "--to DIR")
	if entries, err := os.ReadDir(m.home); err != nil || len(entries) != 1 {
		t.Errorf("something was written: %v %v", entries, err)
	}
	m.run(script, "--yes", "--no-git", "--vault-password-file", password).want(t, 0, "Restored ", "to "+m.home+"/git/maia")
}

// TestTwinOfALink: a disk that does not tell upper case from lower takes a link for the folder of that name in the other case. What
// the backup has in the folder does not go through the link. The disk is played by mv.
func TestTwinOfALink(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{true, false} {
		outside := t.TempDir()
		write(t, filepath.Join(outside, "there"), []byte("was there"))
		when := time.Unix(1_700_000_000, 0)
		if err := errors.Join(os.Chmod(outside, 0o711), os.Chtimes(outside, when, when)); err != nil {
			t.Fatal(err)
		}
		b := smallRepository(t, func(b *builder) {
			b.items = append(b.items,
				item{component: "maia_code", kind: 'l', path: "a", mode: 0o777, mtime: time.Unix(1, 0), link: outside},
				item{component: "maia_data_small", kind: 'd', path: "A", mode: 0o777, mtime: time.Unix(2, 0)})
			if inside {
				b.items = append(b.items,
					item{component: "maia_data_small", kind: 'f', path: "A/there", mode: 0o644, mtime: time.Unix(3, 0), body: []byte("evil")},
					item{component: "maia_data_small", kind: 'f', path: "A/evil", mode: 0o644, mtime: time.Unix(3, 0), body: []byte("evil")})
			}
		})
		m := newMachine(t, "tar", "perl")
		to := newTarget(t)
		m.wrap("mv", `REAL "$@"; code=$?
if [ -L '`+to+`/a' ] && [ -d '`+to+`/A' ] && [ ! -L '`+to+`/A' ]; then rm -rf '`+to+`/A'; ln -s '`+outside+`' '`+to+`/A'; fi
exit $code`)
		r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--to", to, "--yes")
		if inside {
			r.want(t, 1, "would lie behind a link")
		} else {
			r.want(t, 0, "Restored ")
		}
		entries, err := os.ReadDir(outside)
		if err != nil || len(entries) != 1 {
			t.Errorf("outside the target: %v %v\n%s", entries, err, r.text)
		}
		if body, err := os.ReadFile(filepath.Join(outside, "there")); err != nil || string(body) != "was there" {
			t.Errorf("outside the target: %q %v", body, err)
		}
		if fi, err := os.Stat(outside); err != nil || fi.Mode().Perm() != 0o711 || !fi.ModTime().Equal(when) {
			t.Errorf("the folder outside has another mode or time: %v %v", fi, err)
		}
	}
}

// TestTooManyEntries: an index that names more files than any is refused before it fills the memory.
func TestTooManyEntries(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	script := filepath.Join(b.dir, "few.sh")
	few := strings.Replace(string(RestoreScript), "MAX_ENTRIES=4000000\n", "MAX_ENTRIES=3\n", 1)
	if few == string(RestoreScript) {
		t.Fatal("the script has no such limit")
	}
	write(t, script, []byte(few))
	newMachine(t, "tar", "perl").run(script, "--to", newTarget(t), "--yes").want(t, 1, "names more files than any backup")
}
