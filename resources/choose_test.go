package resources

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	m := newMachine(t, "tar", "perl")
	script := filepath.Join(b.dir, "restore_maia.sh")
	to := newTarget(t)
	m.run(script, "--help").want(t, 0, "--vault-password-file FILE", "Exit codes: 0 done")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--nonsense"}, "there is no option --nonsense"},
		{[]string{"stray"}, "there is no option stray"},
		{[]string{"/Users/kim/OneDrive-B/MaiaBackups/restore_maia.sh"}, "there is more than one MaiaBackups"},
		{[]string{"--to"}, "--to needs a value"},
		{[]string{"--to="}, "--to needs a value"},
		{[]string{"--to", ""}, "--to needs a value"},
		{[]string{"--yes=1"}, "--yes takes no value"},
		{[]string{"--only", "maia_cod"}, "there is no component maia_cod"},
		{[]string{"--only", "*"}, "--only takes these"},
		{[]string{"--only", ","}, "--only takes these"},
		{[]string{"--map", "x"}, "is not OLD=NEW"},
		{[]string{"--map", "=x"}, "is not OLD=NEW"},
		{[]string{"--target-home", "/nowhere/../x"}, "leads through a folder that is not there"},
		{[]string{"--vault-password-file", "/nowhere"}, "cannot be read"},
		{[]string{"--backup", "../x"}, "is not the name of a backup"},
		{[]string{"--backup", "full_2024", "--to", to, "--yes"}, "there is no backup full_2024"},
		{[]string{"--to", b.dir + "/new", "--yes"}, "lies in the backups"},
		{[]string{"--to", "/nowhere/../x", "--yes"}, "leads through a folder that is not there"},
		{[]string{"--to", "/", "--yes"}, "the whole disk"},
		{[]string{"--to", to}, "there is no terminal to ask on"},
		{nil, "there is no terminal to ask on"},
	} {
		r := m.run(script, c.args...)
		if r.code != 2 || !strings.Contains(r.text, c.says) {
			t.Errorf("%q: exit code %d\n%s", c.args, r.code, r.text)
		}
	}
	write(t, filepath.Join(m.home, "file"), nil)
	m.run(script, "--to", filepath.Join(m.home, "file"), "--yes").want(t, 1, "is not a folder", "another place with --to DIR")
	m.run(script, "--target-home", filepath.Join(m.home, "file"), "--yes").want(t, 1, "is not a folder", "another place with --target-home DIR")

	// Passwords that cannot be.
	password := filepath.Join(m.home, "password")
	for _, bad := range []string{"", "\n", "a\nb", "a\n\n", "a\r\n", "a\x00b", "a\x00", strings.Repeat("x", 513), strings.Repeat("x", 2000)} {
		write(t, password, []byte(bad))
		m.run(script, "--to", to, "--yes", "--vault-password-file", password).want(t, 12, "cannot be a vault password")
	}
	m.run(script, "--to", to, "--yes", "--vault-password-file", "-").want(t, 12, "cannot be a vault password")
	write(t, password, []byte("some password"))

	// Options of what is not in this backup are taken, and said to change nothing.
	m.run(script, "--to="+to, "--dry-run", "--map", "/a=/b", "--no-agents", "--no-packages", "--target-home", m.home, "--only", "maia_code,secrets").want(t, 0,
		"this backup holds no vault", "--map changes nothing", "--no-agents: ", "--no-packages: ", "--target-home: ")
	m.run(script, "--to", to, "--yes", "--only", "secrets").want(t, 2, "holds nothing of: secrets")
	// A password is for what it proves.
	m.run(script, "--to", to, "--yes", "--vault-password-file", password).want(t, 12, "the password proves none", "without --vault-password-file")
	if _, err := os.Lstat(to); err == nil {
		t.Error("something was written")
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	m := newMachine(t, "bsdtar", "zsh")
	to := newTarget(t)
	script := filepath.Join(b.dir, "restore_maia.sh")
	pick := func(names ...string) (out []item) {
		for _, it := range b.items {
			for _, n := range names {
				if it.component == n {
					out = append(out, it)
				}
			}
		}
		return out
	}
	m.run(script, "--to", to, "--yes", "--only", "maia_data_large").want(t, 0, "1 file (1 database)")
	checkTree(t, to, pick("maia_data_large"), "claude", "claude/data")
	m.run(script, "--to", to, "--yes", "--only", "maia_data_small, launchagents", "--only=system_metadata").want(t, 0, "4 files (1 database)")
	checkTree(t, to, pick("maia_data_small", "maia_data_large", "launchagents", "system_metadata"), "claude", "claude/data")
	m.run(script, "--to", to, "--yes").want(t, 0, "5 files are there already")
	checkTree(t, to, b.items)
}

// TestFindRepository: where the script looks, and in what order.
func TestFindRepository(t *testing.T) {
	t.Parallel()
	b := smallRepository(t, nil)
	m := newMachine(t, "tar", "perl")
	elsewhere := filepath.Join(m.home, "restore_maia.sh")
	write(t, elsewhere, RestoreScript)
	dry := func(script string, args ...string) result {
		t.Helper()
		return m.run(script, append(args, "--dry-run", "--to", filepath.Join(m.home, "new"))...)
	}
	dry(elsewhere).want(t, 10, "no backup repository was found", m.home+"/Library/CloudStorage/OneDrive*")
	dry(elsewhere, "--repository", m.home).want(t, 10, "is no backup repository")
	dry(elsewhere, "--repository", b.dir).want(t, 0, "  from   "+b.dir+"\n")
	dry(elsewhere, "--repository", filepath.Dir(b.dir)).want(t, 0, "  from   "+b.dir+"\n")
	dry(elsewhere, "--repository", filepath.Join(b.dir, b.id)).want(t, 0, "  from   "+b.dir+"\n")
	dry(filepath.Join(b.dir, b.id, "restore_maia.sh")).want(t, 0, "  from   "+b.dir+"\n")

	// Libraries of others and accounts that were removed are no candidates; two names of one folder are one.
	storage := filepath.Join(m.home, "Library/CloudStorage")
	for _, name := range []string{"OneDrive-SharedLibraries-Firm", "OneDrive-Firm (14.10.2025 09_00)"} {
		mustMkdir(t, filepath.Join(storage, name))
		mustLink(t, b.dir, filepath.Join(storage, name, "MaiaBackups"))
	}
	dry(elsewhere).want(t, 10)
	mustMkdir(t, filepath.Join(storage, "OneDrive-Personal"))
	mustLink(t, b.dir, filepath.Join(storage, "OneDrive-Personal/MaiaBackups"))
	mustLink(t, filepath.Join(storage, "OneDrive-Personal"), filepath.Join(m.home, "OneDrive"))
	dry(elsewhere).want(t, 0, "  from   "+b.dir+"\n")
	second := smallRepository(t, nil)
	mustMkdir(t, filepath.Join(storage, "OneDrive-Firm"))
	mustLink(t, second.dir, filepath.Join(storage, "OneDrive-Firm/MaiaBackups"))
	dry(elsewhere).want(t, 2, "more than one repository was found", b.dir, second.dir)

	// As a person would type it, from its own folder.
	cmd := m.command("restore_maia.sh", "--dry-run")
	cmd.Dir = second.dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "  from   "+second.dir+"\n") || !strings.Contains(string(out), "  to     "+m.home+"/git/maia\n") {
		t.Errorf("%v\n%s", err, out)
	}

	empty := t.TempDir()
	mustMkdir(t, filepath.Join(empty, "chunks"))
	dry(elsewhere, "--repository", empty).want(t, 1, "there is no backup in")
}

// TestChooseBackup: the newest complete one, and what the newer ones lack.
func TestChooseBackup(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "MaiaBackups")
	made := map[string]*builder{}
	for i, id := range []string{"full_20240101_000000", "full_20250101_000000", "full_20250102_000000", "full_20250103_000000", "full_20250104_000000"} {
		b := newBuilder(dir, small(t))
		b.id, b.seed, b.chunkBytes, b.extent = id, uint64(i), 200_000, 20_000
		b.created = time.Now().Add(-time.Duration(50-10*i) * 24 * time.Hour)
		made[id] = b.write(t)
	}
	// The newest was never finished, the next lacks a chunk, the next has a file too short.
	remove := func(path string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	remove("full_20250104_000000/backup_manifest.json")
	for _, raw := range made["full_20250103_000000"].chunks[:1] {
		remove("chunks/" + hashOf(zip(t, raw, 1)) + ".gz")
	}
	edit(t, filepath.Join(dir, "full_20250102_000000/files.jsonl.gz"), func(b []byte) []byte { return b[1:] })
	mustMkdir(t, filepath.Join(dir, "full_20250105_000000 2"))
	m := newMachine(t, "tar", "perl")
	script := filepath.Join(dir, "restore_maia.sh")
	to := newTarget(t)
	dry := func(args ...string) result {
		t.Helper()
		return m.run(script, append(args, "--dry-run", "--to", to)...)
	}
	dry().want(t, 0, "Restore full_20250101_000000",
		"full_20250104_000000 is passed over: it was never finished", "full_20250103_000000 is passed over: it is not complete: chunks/",
		"full_20250102_000000 is passed over: it is not complete: files.jsonl.gz has ", "PLEASE NOTE: this backup is 40 days old")
	dry("--backup", "latest").want(t, 0, "Restore full_20250101_000000")
	dry("--backup", "full_20240101_000000").want(t, 0, "Restore full_20240101_000000")
	dry("--backup", "2024").want(t, 0, "Restore full_20240101_000000")
	dry("--backup", "2025010").want(t, 2, "could mean: full_20250101_000000 full_20250102_000000")
	dry("--backup", "20250104").want(t, 1, "full_20250104_000000 cannot be restored: it was never finished")
	dry("--backup", "20250103").want(t, 0, "Restore full_20250103_000000", "PLEASE NOTE: parts of this backup are missing")
	m.run(filepath.Join(dir, "full_20240101_000000/restore_maia.sh"), "--dry-run", "--to", to).want(t, 0, "Restore full_20240101_000000")
	// One that is asked for is restored as far as it goes.
	r := m.run(script, "--backup", "20250103", "--to", to, "--yes")
	r.want(t, 3, "NOT COMPLETE")
	checkPart(t, to, made["full_20250103_000000"].items, r)
	// Nothing is complete: the newest that has a manifest.
	remove("full_20250101_000000/Brewfile")
	remove("full_20240101_000000/Brewfile")
	dry().want(t, 0, "No backup is complete", "Restore full_20250103_000000")
}

// TestDefaultPlace: the old place, below the new home; where that is no likely one, none.
func TestDefaultPlace(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "tar", "perl")
	other := t.TempDir()
	for i, c := range []struct{ root, home, want string }{
		{"/Users/old/git/maia", "/Users/old", m.home + "/git/maia"},
		{"/Users/old", "/Users/old", ""}, {filepath.Dir(m.home), "/Users/old", ""}, {"relative", "/Users/old", ""}, {"", "/Users/old", ""},
		{"/Users/old/Library/LaunchAgents", "/Users/old", ""}, {"/Users/old/library", "/Users/old", ""}, {"/Users/old/.ssh", "/Users/old", ""}, {"/Users/old/x/../.ssh", "/Users/old", ""},
		{m.home + "/.config", "/elsewhere", ""}, {"/Users/old/.", "/Users/old", ""}, {"/Users/old//.zsh", "/Users/old", ""},
		{"/Users/older/maia", "/Users/old", "/Users/older/maia"},
		{"/Volumes/Data/two words", "/Users/old", "/Volumes/Data/two words"},
		{"/Users/old/new\nline", "/Users/old", ""}, {"/Users/old/x\n  authenticated: yes", "/Users/old", ""}, {"/Users/old/\x1b[8m", "/Users/old", ""}, {"/Users/old/\u009b8m", "/Users/old", ""}, {"/Users/old/a\u202eb", "/Users/old", ""}, {"/Users/old/a\u2067b", "/Users/old", ""},
		{"/Users/old/größe/日本", "/Users/old", m.home + "/größe/日本"}, {"/Users/old/maia.d/.x", "/Users/old", m.home + "/maia.d/.x"},
	} {
		b := smallRepository(t, func(b *builder) { b.root, b.home = c.root, c.home })
		r := m.run(filepath.Join(b.dir, "restore_maia.sh"), "--dry-run")
		if c.want == "" {
			r.want(t, 2, "no likely one", "--to DIR")
			continue
		}
		r.want(t, 0, fmt.Sprintf("  to     %s\n", c.want))
		if i == 0 {
			r = m.run(filepath.Join(b.dir, "restore_maia.sh"), "--dry-run", "--target-home", other)
			r.want(t, 0, fmt.Sprintf("  to     %s/git/maia\n", other))
		}
	}
	// A link may stand in the target's own path, and the target be relative.
	b := smallRepository(t, nil)
	mustLink(t, other, filepath.Join(m.home, "link"))
	m.run(filepath.Join(b.dir, "restore_maia.sh"), "--yes", "--to", "link/new//./maia/").want(t, 0, "  to     "+other+"/new/maia\n")
	checkTree(t, filepath.Join(other, "new/maia"), b.items)
}

// TestNoHome: where the environment does not say it, the system knows the home folder; and where nobody does, a person
// is told how to say it.
func TestNoHome(t *testing.T) {
	t.Parallel()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	b := smallRepository(t, nil)
	for _, env := range [][]string{{}, {"HOME="}} {
		m := newMachine(t, "tar", "perl")
		cmd := m.command(filepath.Join(b.dir, "restore_maia.sh"), "--dry-run")
		cmd.Env = append(env, "PATH="+m.bin, "TMPDIR="+m.tmp)
		out, err := cmd.CombinedOutput()
		if want := "  to     " + me.HomeDir + "/git/maia\n"; err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, not %q\n%s", env, err, want, out)
		}
	}
	// The shell says / of a user whom nobody knows.
	text := strings.Replace(string(RestoreScript), "  HOME=~\n", "  HOME=/\n", 1)
	script := filepath.Join(b.dir, "unknown.sh")
	write(t, script, []byte(text))
	m := newMachine(t, "tar", "perl")
	m.env = []string{"HOME="}
	m.run(script, "--dry-run").want(t, 1, "the home folder is not known", "HOME=/Users/YOU bash restore_maia.sh")
}
