package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
	"maia-dr/resources"
)

// engine/testdata/format-N is a repository as the first release with format N wrote it, and is never changed. docs/formats.md says
// how the next one is made, with this flag.
var writeArchive = flag.String("write-archive", "", "write engine/testdata/format-N, from a Maia that is made in this new `home`")

const (
	archivePassword = "archive password"
	archiveVersion  = "0.1.0-archive"
	archiveScript   = "#!/bin/bash\n# In a backup of a release, its restore_maia.sh lies here.\n"
)

var archiveTime = time.Date(2025, 10, 13, 3, 0, 0, 0, time.UTC)

// archiver is the machine on which the archive was written: with a clock and randomness that are always the same.
func archiver(t testing.TB, home string, clock time.Time, random *rand.ChaCha8) *engine.Engine {
	t.Helper()
	return mac{Home: home, Root: filepath.Join(home, "maia"), OneDrive: filepath.Join(home, "OneDrive"), State: filepath.Join(home, "state"), Hardware: "machine-1", Clock: clock}.
		engineOf(func(env *engine.Env) { env.Random = random }, func(o *engine.Options) {
			o.Version, o.Script, o.Run = archiveVersion, []byte(archiveScript), archiveTools
			o.Password = func(context.Context) (vault.Password, error) { return password(t, archivePassword), nil }
		}, func() time.Time { return clock })
}

// archiveTools is a machine with Homebrew and nothing else.
func archiveTools(_ context.Context, name string, args ...string) ([]byte, error) {
	switch {
	case filepath.Base(name) != "brew":
	case args[0] == "list":
		return []byte("jq\n"), nil
	case args[0] == "bundle":
		return []byte("brew \"jq\"\n"), nil
	}
	return nil, fs.ErrNotExist
}

// makeArchive writes the archive of the present format.
func makeArchive(t *testing.T, home, to string) {
	put := func(name string, mode fs.FileMode, body string) {
		path := filepath.Join(home, name)
		mkdirAll(t, filepath.Dir(path))
		if err := errors.Join(os.WriteFile(path, []byte(body), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	sql := func(name, text string) {
		if out, err := exec.Command("sqlite3", filepath.Join(home, "maia/claude/data", name), text).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, path := range []string{home, to} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s is there already", path)
		}
	}
	mkdirAll(t, filepath.Join(home, "OneDrive"))
	mkdirAll(t, filepath.Join(home, "maia/claude/empty"))
	put("maia/CLAUDE.md", 0o644, "# Maia\n")
	put("maia/claude/context/core/ufc_system.md", 0o644, "# UFC\n")
	put("maia/SYSTEM_STATE.md", 0o644, "Phase 112\n")
	put("maia/claude/tools/sre/health.py", 0o755, "#!/usr/bin/env python3\nprint('well')\n"+strings.Repeat("# a line of a longer file\n", 400))
	put("maia/claude/tools/production_api_credentials.py", 0o600, "OPENAI_API_KEY = 'sk-"+"archive0123456789abcdefghijklmnop'\n")
	put("maia/names/two words, \u00fc, $(x), \\ and\nnewline", 0o640, "odd\n")
	put("maia/claude/data/catalog.json", 0o644, "{\"a\": 1}\n")
	put("Library/LaunchAgents/com.maia.health.plist", 0o644, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Label</key><string>com.maia.health</string><key>ProgramArguments</key><array><string>/usr/bin/true</string></array></dict></plist>
`)
	put(".zshrc", 0o644, "export EDITOR=vi\nexport ARCHIVE_TOKEN=ghp_"+"0123456789abcdefghijABCDEFGHIJ012345\n")
	if err := errors.Join(os.Symlink("../CLAUDE.md", filepath.Join(home, "maia/claude/up")), os.Chmod(filepath.Join(home, ".zshrc"), 0o600)); err != nil {
		t.Fatal(err)
	}
	sql("jobs.db", "CREATE TABLE job(id INTEGER PRIMARY KEY, text TEXT); INSERT INTO job VALUES (1, 'one'), (2, 'two');")
	sql("tickets.db", `CREATE TABLE ticket(id INTEGER PRIMARY KEY, text TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 9000) INSERT INTO ticket SELECT i, printf('ticket %d %s', i, hex(zeroblob(60))) FROM n;`)
	settle := func(at time.Time) {
		if err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type()&fs.ModeSymlink == 0 && !strings.HasPrefix(path, filepath.Join(home, "state")) {
				err = os.Chtimes(path, at, at)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.NewChaCha8([32]byte{1})
	for n := range 3 {
		at := archiveTime.AddDate(0, 0, n)
		if n > 0 {
			put("maia/CLAUDE.md", 0o644, "# Maia\n"+strings.Repeat("One more day.\n", n))
			sql("tickets.db", "UPDATE ticket SET text = text || ' done' WHERE id % 2500 = 7;")
		}
		settle(at.Add(-time.Hour).Add(123456789))
		res, err := archiver(t, home, at, random).Backup(t.Context(), engine.BackupOptions{})
		if err != nil || len(res.Warnings) > 0 {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	mkdirAll(t, filepath.Dir(to))
	copyTree(t, filepath.Join(home, "OneDrive", repository.DirName), to)
	for name := range snapshotTree(t, to) {
		if fi, err := os.Lstat(filepath.Join(to, name)); err == nil && fi.Mode().IsRegular() {
			if err := os.Chmod(filepath.Join(to, name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// archived copies an archive to where OneDrive would have it, in a new home.
func archived(t *testing.T, dir string) (home string) {
	t.Helper()
	home = filepath.Join(t.TempDir(), "home")
	mkdirAll(t, filepath.Join(home, "OneDrive"))
	copyTree(t, dir, filepath.Join(home, "OneDrive", repository.DirName))
	return home
}

// TestFormatArchives: every backup of every format that a release ever wrote is verified, and restored whole, by this program and by
// its script, to the same trees.
func TestFormatArchives(t *testing.T) {
	t.Parallel()
	if *writeArchive != "" {
		makeArchive(t, *writeArchive, filepath.Join("testdata", fmt.Sprint("format-", repository.Format)))
	}
	dirs, err := filepath.Glob("testdata/format-*")
	if err != nil || len(dirs) != repository.Format {
		t.Fatalf("%d archives of %d formats: %v", len(dirs), repository.Format, err)
	}
	for _, dir := range dirs {
		home := archived(t, dir)
		e := archiver(t, home, archiveTime.AddDate(0, 1, 0), rand.NewChaCha8([32]byte{2}))
		v, err := e.Verify(t.Context(), engine.VerifyOptions{All: true})
		if err != nil || !v.OK() || len(v.Backups) != 3 {
			t.Fatalf("%s: %+v, %v", dir, v, err)
		}
		for n := range 3 {
			id := "full_" + archiveTime.AddDate(0, 0, n).Format("20060102_150405")
			byGo := filepath.Join(home, "by-go", id)
			restoreArchived(t, e, id, byGo)
			if n == 2 { // which needs chunks of all three
				restoreArchivedByScript(t, home, id, byGo)
			}
		}
	}
}

// restoreArchived restores a backup whole, with its vault, the personal files beside.
func restoreArchived(t *testing.T, e *engine.Engine, id, to string) {
	t.Helper()
	res, err := e.Restore(t.Context(), engine.RestoreOptions{Backup: id, To: to, OnlyProven: true,
		Password: func(_ context.Context, _, wrong int) (vault.Password, error) {
			if wrong > 0 {
				return vault.Password{}, engine.ErrNoPassword
			}
			return password(t, archivePassword), nil
		}})
	if err != nil || !res.Plan.Authenticated || len(res.Failed)+len(res.Doubtful)+len(res.Plan.Sealed)+len(res.Plan.Lacks) > 0 {
		t.Fatalf("%s: %+v, %v", id, res, err)
	}
}

// restoreArchivedByScript does it with the present restore_maia.sh, and compares.
func restoreArchivedByScript(t *testing.T, home, id, byGo string) {
	t.Helper()
	script, to, empty := filepath.Join(home, "restore_maia.sh"), filepath.Join(home, "by-script", id), filepath.Join(home, "new-home-"+id)
	write(t, script, resources.RestoreScript)
	mkdirAll(t, empty)
	cmd := exec.Command("bash", script, "--repository", filepath.Join(home, "OneDrive", repository.DirName), "--backup", id, "--to", to, "--target-home", empty,
		"--yes", "--no-agents", "--no-packages", "--no-git", "--vault-password-file", "-")
	cmd.Stdin, cmd.Env = strings.NewReader(archivePassword+"\n"), append(os.Environ(), "HOME="+empty)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("  authenticated: ")) {
		t.Fatalf("%s: restore_maia.sh: %v\n%s", id, err, out)
	}
	want, got := fineTree(t, byGo), fineTree(t, to)
	// By the script, a proven backup's personal files are in the home.
	for _, tree := range []map[string]string{want, got} {
		maps.DeleteFunc(tree, func(path, _ string) bool { return strings.HasPrefix(path, engine.BesideDir) })
	}
	sameMaps(t, id, want, got)
	if len(want) < 17 {
		t.Errorf("%s: %d files and folders: %v", id, len(want), slices.Sorted(maps.Keys(want)))
	}
	if zshrc := read(t, filepath.Join(empty, ".zshrc")); !bytes.Contains(zshrc, []byte("ghp_")) {
		t.Errorf("%s: .zshrc is %q", id, zshrc)
	}
}
