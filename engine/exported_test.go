package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
	"maia-dr/packaging/ci/faults/matrix"
)

// TestExport: the copy of an older backup that shares chunks with others is restored by Go and by the script, without the
// repository it came from, to the same trees as from there.
func TestExport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	original, _, err := r.unsealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	r.day(1)
	r.backup()
	before := snapshotTree(t, r.repo())
	stick := filepath.Join(r.base, "stick")
	mkdir(t, stick)
	mkdir(t, filepath.Join(stick, ".Spotlight-V100")) // what macOS puts there is no stranger
	res, err := r.engine().Export(t.Context(), engine.ExportOptions{Backup: first.BackupID, Dir: stick})
	if err != nil {
		t.Fatal(err)
	}
	if res.Kept != 0 || res.Written < 10 || !res.Vault {
		t.Errorf("%+v", res)
	}
	if !maps.Equal(before, snapshotTree(t, r.repo())) {
		t.Error("the repository changed")
	}
	r.noBackupInto(stick)
	again, err := r.engine().Export(t.Context(), engine.ExportOptions{Backup: first.BackupID, Dir: stick})
	if err != nil || again.Written != 0 || again.Kept != res.Written {
		t.Errorf("the second time: %+v, %v", again, err)
	}

	// Another Mac, with nothing but the stick.
	remove(t, r.repo())
	remove(t, r.state)
	r.fix.OneDrive, r.state, r.hardware = stick, filepath.Join(r.base, "other"), "machine-2"
	l, err := r.engine().List()
	if err != nil || len(l.Backups) != 1 || l.Backups[0].State != engine.StateComplete || len(l.Foreign) > 1 {
		t.Errorf("it lists %+v, %v", l, err)
	}
	if v := r.verifyAll(); !v.OK() {
		t.Errorf("%+v", v)
	}
	byGo, _, err := r.unsealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	byScript := filepath.Join(t.TempDir(), "script")
	cmd := exec.Command("bash", filepath.Join(stick, repository.ScriptName), "--to", byScript, "--yes", "--no-packages", "--vault-password-file", "-")
	cmd.Stdin, cmd.Dir, cmd.Env = strings.NewReader(testPassword+"\n"), r.scriptHome(), append(os.Environ(), "HOME="+r.scriptHome())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := snapshotTree(t, original)
	for _, to := range []string{byGo, byScript} {
		got := snapshotTree(t, to)
		for path, is := range want {
			if !strings.HasPrefix(path, engine.BesideDir) && got[path] != is && path != "." {
				t.Errorf("%s: %s, from the repository %s", path, got[path], is)
			}
		}
		if len(want) < 100 {
			t.Errorf("only %d files were compared", len(want))
		}
	}
}

// noBackupInto: nobody makes backups into an exported one by naming it as the OneDrive folder.
func (r *rig) noBackupInto(stick string) {
	r.t.Helper()
	oneDrive := r.fix.OneDrive
	r.fix.OneDrive = stick
	_, err := r.engine().Backup(r.t.Context(), engine.BackupOptions{NoVault: true})
	r.fix.OneDrive = oneDrive
	if engine.CodeOf(err) != engine.CodeUsage {
		r.t.Errorf("a backup into the stick: %v", err)
	}
}

// TestExportRefuses: strangers, places that backups are made of, what is not whole.
func TestExportRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.backup()
	export := func(dir string, archives bool) error {
		_, err := r.engine().Export(t.Context(), engine.ExportOptions{Backup: "latest", Dir: dir, Archives: archives})
		return err
	}
	for _, dir := range []string{"", r.fix.Root, filepath.Join(r.fix.Root, "claude", "new"), r.repo(), filepath.Join(r.mirror(), "x"), r.state, filepath.Join(r.base, "unplugged", "stick")} {
		if err := export(dir, false); engine.CodeOf(err) != engine.CodeUsage {
			t.Errorf("into %q: %v", dir, err)
		}
	}
	link := filepath.Join(r.base, "link")
	if err := os.Symlink(r.fix.Root, link); err != nil {
		t.Fatal(err)
	}
	if err := export(filepath.Join(link, "new"), false); engine.CodeOf(err) != engine.CodeUsage {
		t.Errorf("into the root through a link: %v", err)
	}
	if exists := snapshotTree(t, r.base)["unplugged"]; exists != "" {
		t.Error("a folder was made for a stick that is not there")
	}
	stick := filepath.Join(r.base, "stick")
	mkdir(t, stick)
	for _, name := range []string{"thesis.doc", ".hidden.tmp", "chunks", "README.txt.tmp2", first.BackupID + "x"} {
		path := filepath.Join(stick, name)
		if name == "chunks" {
			mkdir(t, path)
			path = filepath.Join(path, "mine.gz")
		}
		write(t, path, []byte("mine"))
		for _, archives := range []bool{false, true} {
			if err := export(stick, archives); engine.CodeOf(err) != engine.CodeUsage {
				t.Errorf("beside %s: %v", name, err)
			}
		}
		if string(read(t, path)) != "mine" {
			t.Errorf("%s changed", name)
		}
		remove(t, filepath.Join(stick, name))
	}
	// What a killed export left is no stranger, and goes.
	for _, name := range []string{"publish.tmp", "publish-2.tmp", ".README.txt.123.tmp"} {
		write(t, filepath.Join(stick, name), []byte("half"))
	}
	byLink := filepath.Join(r.base, "to-stick")
	if err := os.Symlink(stick, byLink); err != nil {
		t.Fatal(err)
	}
	if err := export(byLink, false); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(stick, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// A copy that was damaged since is made whole, from whichever copy is whole.
	chunk := repository.ChunkName(first.Manifest.Chunks[0].SHA256)
	flip(t, filepath.Join(stick, "chunks", chunk), 700)
	flip(t, filepath.Join(r.repo(), "chunks", chunk), 700)
	if err := export(stick, false); err != nil {
		t.Errorf("with one whole copy: %v", err)
	}
	flip(t, filepath.Join(r.mirror(), "chunks", chunk), 700)
	other := filepath.Join(r.base, "other")
	for _, archives := range []bool{false, true} {
		if err := export(other, archives); !errors.Is(err, repository.ErrDamaged) {
			t.Errorf("with no whole copy: %v", err)
		}
		if _, err := os.Stat(filepath.Join(other, first.BackupID, repository.ManifestName)); err == nil {
			t.Error("a damaged backup was exported")
		}
		remove(t, other)
	}
	remove(t, filepath.Join(r.repo(), "chunks", chunk))
	remove(t, filepath.Join(r.mirror(), "chunks", chunk))
	if _, err := r.engine().Export(t.Context(), engine.ExportOptions{Backup: first.BackupID, Dir: other}); engine.CodeOf(err) != engine.CodeIncomplete {
		t.Errorf("of an incomplete backup: %v", err)
	}
}

// TestExportInterrupted: after a full disk at any moment, the same command goes on and comes to its end.
func TestExportInterrupted(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "4")
	r := newRig(t)
	r.removeLikelySecrets()
	first := r.backup()
	for _, archives := range []bool{false, true} {
		failed := 0
		for n := 3; ; n += 7 {
			faults.Inject()
			stick := filepath.Join(r.base, fmt.Sprint("stick", archives, n))
			calls := 0
			fault := func(_ fsx.Op, path string) error {
				if !strings.HasPrefix(path, stick) {
					return nil
				}
				if calls++; calls == n {
					return unix.ENOSPC
				}
				return nil
			}
			r.fault.Store(&fault)
			_, err := r.engine().Export(t.Context(), engine.ExportOptions{Dir: stick, Archives: archives})
			r.fault.Store(nil)
			if calls < n {
				break
			}
			if err == nil {
				remove(t, stick) // the one call that has another way: a file is copied where it cannot be cloned
				continue
			}
			failed++
			if engine.CodeOf(err) != engine.CodeDiskFull {
				t.Fatalf("call %d: %v", n, err)
			}
			res, err := r.engine().Export(t.Context(), engine.ExportOptions{Dir: stick, Archives: archives})
			if err != nil || res.BackupID != first.BackupID {
				t.Fatalf("after call %d: %v", n, err)
			}
			remove(t, stick)
		}
		if failed < 5 {
			t.Errorf("archives %v: only %d faults were hit", archives, failed)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.engine().Export(ctx, engine.ExportOptions{Dir: filepath.Join(r.base, "never")}); engine.CodeOf(err) != engine.CodeCancelled {
		t.Errorf("cancelled: %v", err)
	}
}

// TestExportArchives: bsdtar, cat and openssl make the source out of it again.
func TestExportArchives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	dir, to := filepath.Join(r.base, "archives"), filepath.Join(r.base, "unpacked")
	mkdir(t, to)
	e := r.engine().InPieces(800 << 10)
	if _, err := e.Export(t.Context(), engine.ExportOptions{Dir: dir, Archives: true}); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(snapshotTree(t, dir)))
	want := []string{".", "README.txt", "backup_manifest.json", "credentials.vault.enc", "launchagents.tar.gz", "maia_code.tar.gz", "maia_data_small.tar.gz",
		"servicedesk_tickets.db.chunk1", "servicedesk_tickets.db.chunk2", "servicedesk_tickets.db.chunk3", "shell_configs.tar.gz", "system_metadata.json"}
	if !slices.Equal(names, want) {
		t.Errorf("it holds %q", names)
	}
	for _, name := range []string{"maia_data_small.tar.gz", "maia_code.tar.gz"} {
		if out, err := exec.Command("bsdtar", "-xpf", filepath.Join(dir, name), "-C", to).CombinedOutput(); err != nil {
			t.Fatalf("bsdtar: %v\n%s", err, out)
		}
	}
	readme := string(read(t, filepath.Join(dir, "README.txt")))
	join := "cat servicedesk_tickets.db.chunk{1..3} > servicedesk_tickets.db"
	if !strings.Contains(readme, join) {
		t.Errorf("README.txt does not say how to join:\n%s", readme)
	}
	cmd := exec.Command("bash", "-c", join+` && mv servicedesk_tickets.db "$0"`, filepath.Join(to, "claude/data"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The database's time is in no tar.
	src, dst := snapshotTree(t, r.fix.Root), snapshotTree(t, to)
	const db = "claude/data/servicedesk_tickets.db"
	sum := func(s string) string { return s[strings.LastIndexByte(s, ' '):] }
	if sum(src[db]) != sum(dst[db]) {
		t.Errorf("the database is %s, the original %s", dst[db], src[db])
	}
	delete(src, db)
	delete(dst, db)
	src["claude/data"] = dst["claude/data"]
	compared := map[string]string{}
	for _, s := range res.Manifest.Coverage.Secrets {
		delete(dst, string(s.Path)) // redacted
	}
	maps.Copy(compared, dst)
	r.sameTrees(src, compared, res.Manifest)
	r.manifestOf(dir)
	args := []string{"enc", "-d", "-aes-256-cbc", "-pbkdf2", "-md", "sha256", "-iter", fmt.Sprint(vault.Iterations), "-in", filepath.Join(dir, "credentials.vault.enc"), "-pass", "stdin"}
	open := exec.Command("openssl", args...)
	open.Stdin = strings.NewReader(testPassword + "\n")
	if out, err := open.Output(); err != nil || !strings.Contains(string(out), "vault.index") {
		t.Errorf("openssl: %v", err)
	}
}

// manifestOf compares the manifest of an export as archives with what lies there.
func (r *rig) manifestOf(dir string) {
	r.t.Helper()
	type file struct {
		Path   string          `json:"path"`
		Size   int64           `json:"size_bytes"`
		SHA256 repository.Hash `json:"sha256"`
	}
	var m struct {
		Components map[string]struct {
			file
			Databases []struct{ Chunks []file }
		} `json:"components"`
		Files []file `json:"files"`
	}
	if err := json.Unmarshal(read(r.t, filepath.Join(dir, repository.ManifestName)), &m); err != nil {
		r.t.Fatal(err)
	}
	all := m.Files
	for _, c := range m.Components {
		if c.Path != "" {
			all = append(all, c.file)
		}
		for _, db := range c.Databases {
			all = append(all, db.Chunks...)
		}
	}
	for _, f := range all {
		if sum, n, err := repository.HashFile(filepath.Join(dir, f.Path)); err != nil || n != f.Size || sum != f.SHA256 {
			r.t.Errorf("%s: %d bytes, %v", f.Path, n, err)
		}
	}
	if len(all) < 8 {
		r.t.Errorf("the manifest names %d files", len(all))
	}
}
