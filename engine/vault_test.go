package engine_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/fixture"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
	"maia-dr/packaging/ci/faults/matrix"
)

const testPassword = "correct horse 'battery' $staple \\ \u00e9"

func password(t testing.TB, s string) vault.Password {
	t.Helper()
	p, err := vault.NewPassword([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sealed makes a backup with a vault.
func (r *rig) sealed(s string) (*engine.BackupResult, error) {
	r.t.Helper()
	return r.sealedWith(password(r.t, s))
}

func (r *rig) sealedWith(p vault.Password) (*engine.BackupResult, error) {
	r.t.Helper()
	e := r.mac().engineWith(func(o *engine.Options) {
		o.FS, o.Sink = r.fsys, r.sink
		o.Password = func(context.Context) (vault.Password, error) { return p, nil }
	}, r.now())
	res, err := e.Backup(r.t.Context(), engine.BackupOptions{})
	r.clock = r.clock.AddDate(0, 0, 1)
	return res, err
}

// unsealed restores with a password.
func (r *rig) unsealed(s string) (to string, res *engine.RestoreResult, err error) {
	r.t.Helper()
	to = filepath.Join(r.t.TempDir(), "restored")
	res, err = r.engine().Restore(r.t.Context(), engine.RestoreOptions{To: to, Password: func(_ context.Context, _, wrong int) (vault.Password, error) {
		if wrong > 0 {
			return vault.Password{}, engine.ErrNoPassword
		}
		return password(r.t, s), nil
	}})
	return to, res, err
}

// plain visits every byte of the repository as a thief could read it: each file, and what is in its gzips and tars.
func plain(t testing.TB, dir string, visit func(name string, b []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b := read(t, path)
		visit(path, b)
		if strings.HasSuffix(path, ".gz") {
			zr, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				return err
			}
			raw, err := io.ReadAll(zr)
			if err != nil {
				return err
			}
			visit(path+" decompressed", raw)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// planted are the sample's secrets of eight bytes and more that some rule captures.
func (r *rig) planted() []fixture.Planted {
	var out []fixture.Planted
	for _, p := range r.fix.Secrets {
		if p.Secret && !p.Stray && len(p.Value) >= 8 {
			out = append(out, p)
		}
	}
	return out
}

// unlikely returns a planted value that looks like no secret where it stands alone.
func (r *rig) unlikely() string {
	r.t.Helper()
	for _, p := range r.planted() {
		if found, err := vault.Find(vault.Shell, []byte("# pass "+p.Value+"\n")); err == nil && len(found) == 0 && !strings.Contains(p.Value, "\n") {
			return p.Value
		}
	}
	r.t.Fatal("every planted value looks like a secret")
	return ""
}

// besidesGit are the warnings but that of a machine without git.
func besidesGit(all []repository.Warning) []repository.Warning {
	return slices.DeleteFunc(slices.Clone(all), func(w repository.Warning) bool { return w.Code == "git_state_unknown" })
}

// TestVault: with a password, every planted secret is in the vault and nowhere else, and comes back by both restores to
// the byte; without it everything else does.
func TestVault(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "20")
	r := newRig(t)
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	if len(besidesGit(res.Warnings)) > 0 || res.Manifest.PasswordNumber != 1 {
		t.Errorf("password %d, warnings %+v", res.Manifest.PasswordNumber, res.Warnings)
	}
	r.sameNew(res)
	if n := len(r.planted()); n < 20 {
		t.Fatalf("only %d secrets are planted", n)
	}
	plain(t, r.repo(), func(name string, b []byte) {
		for _, p := range r.planted() {
			faults.Inject()
			for form, v := range map[string]string{"": p.Value, " in base64": base64.StdEncoding.EncodeToString([]byte(p.Value)), " escaped": url.QueryEscape(p.Value)} {
				if bytes.Contains(b, []byte(v)) {
					t.Errorf("%v stands in the plain%s in %s", p, form, name)
				}
			}
		}
	})
	r.verifyAll()

	to, restored, err := r.unsealed(testPassword)
	if err != nil || !restored.Plan.Authenticated || len(restored.Plan.Sealed)+len(restored.Plan.NotInBackup)+len(restored.Failed) > 0 {
		t.Fatalf("%+v, %v", restored, err)
	}
	for _, s := range res.Manifest.Coverage.Secrets {
		r.sameSecret(to, s)
	}
	// Both once more into the same home, where they change the same paths to the same ones. A binary list needs macOS's
	// plutil in the script.
	home := r.scriptHome()
	byScript := filepath.Join(home, "restored")
	if _, err := r.engine().Restore(t.Context(), engine.RestoreOptions{To: byScript, TargetHome: home, Password: func(context.Context, int, int) (vault.Password, error) {
		return password(t, testPassword), nil
	}}); err != nil {
		t.Fatal(err)
	}
	byGo := snapshotTree(t, home)
	if err := errors.Join(os.RemoveAll(home), os.Mkdir(home, 0o755)); err != nil {
		t.Fatal(err)
	}
	r.scriptWith(testPassword, byScript, 0)
	scripts := snapshotTree(t, home)
	delete(scripts, "restored/"+engine.BesideDir+"/report.txt")
	binary := 0
	for path := range byGo {
		original := filepath.Join(r.fix.Home, path)
		if strings.HasPrefix(path, "Library/LaunchAgents/") && bytes.HasPrefix(read(t, original), []byte("bplist")) {
			binary++
			delete(byGo, path)
			delete(scripts, path)
		}
	}
	if binary == 0 || binary > 5 || len(byGo) < 20 {
		t.Errorf("%d binary lists of %d files", binary, len(byGo))
	}
	sameMaps(t, "by the script", byGo, scripts)

	without, restored, err := r.unsealed("another password")
	if err != nil || restored.Plan.Authenticated || len(restored.Plan.Sealed) != len(res.Manifest.Coverage.Secrets) {
		t.Fatalf("%+v, %v", restored, err)
	}
	byScript = filepath.Join(t.TempDir(), "restored")
	r.scriptWith("", byScript, 3)
	sameMaps(t, "by the script without a password", snapshotTree(t, without), snapshotTree(t, byScript))
	plain(t, without, func(name string, b []byte) {
		for _, p := range r.planted() {
			if bytes.Contains(b, []byte(p.Value)) {
				t.Errorf("%v came back without the password, in %s", p, name)
			}
		}
	})
}

// sameSecret compares a secret-bearing file with its original.
func (r *rig) sameSecret(to string, s repository.SecretRef) {
	r.t.Helper()
	original, back := filepath.Join(r.fix.Root, string(s.Path)), filepath.Join(to, string(s.Path))
	switch s.Component {
	case "launchagents":
		original = filepath.Join(r.fix.Home, "Library/LaunchAgents", string(s.Path))
		back = filepath.Join(to, engine.BesideDir, "home/Library/LaunchAgents", string(s.Path))
	case "shell_configs":
		original, back = filepath.Join(r.fix.Home, string(s.Path)), filepath.Join(to, engine.BesideDir, "home", string(s.Path))
	}
	if !bytes.Equal(read(r.t, original), read(r.t, back)) {
		r.t.Errorf("%s is not what it was", s.Path)
	}
	if fi, err := os.Stat(back); err != nil || fi.Mode().Perm()&0o077 != 0 {
		r.t.Errorf("%s: %v, %v", s.Path, fi.Mode(), err)
	}
}

// scriptHome is the home that the script runs in.
func (r *rig) scriptHome() string {
	home := filepath.Join(r.base, "script-home")
	mkdirAll(r.t, home)
	return home
}

// scriptWith restores the newest backup by the script, with the password on standard input; "" gives it none.
func (r *rig) scriptWith(s, to string, want int) string {
	r.t.Helper()
	home := r.scriptHome()
	cmd := exec.Command("bash", filepath.Join(r.repo(), repository.ScriptName), "--repository", r.repo(), "--to", to, "--yes")
	if s != "" {
		cmd.Args = append(cmd.Args, "--vault-password-file", "-")
		cmd.Stdin = strings.NewReader(s + "\n")
	}
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != want {
		r.t.Fatalf("restore_maia.sh: exit code %d, want %d, %v\n%s", code, want, err, out)
	}
	return string(out)
}

// TestSecretInText: a file in which a captured value stands goes into the vault, on the day it is found and from then on.
func TestSecretInText(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "20")
	r := newRig(t)
	if _, err := r.sealed(testPassword); err != nil {
		t.Fatal(err)
	}
	value := r.unlikely()
	notes, plainNotes := "claude/context/notes.md", "claude/context/harmless.md"
	write(t, filepath.Join(r.fix.Root, notes), []byte("the key is "+value+", do not tell\n"))
	write(t, filepath.Join(r.fix.Root, plainNotes), []byte("the key is not here\n"))
	skhd := filepath.Join(r.fix.Home, ".skhdrc")
	write(t, skhd, []byte("# pass "+value+"\n"))
	for range 2 {
		res, err := r.sealed(testPassword)
		if err != nil {
			t.Fatal(err)
		}
		var moved []string
		for _, s := range res.Manifest.Coverage.Secrets {
			if s.Captured && strings.Contains(s.Reason, "was found in it") {
				moved = append(moved, string(s.Path))
			}
		}
		if !slices.Equal(moved, []string{notes, ".skhdrc"}) {
			t.Errorf("moved into the vault: %v", moved)
		}
		if w := besidesGit(res.Warnings); len(w) > 0 {
			t.Errorf("%+v", w)
		}
		plain(t, r.repo(), func(name string, b []byte) {
			if bytes.Contains(b, []byte(value)) {
				t.Errorf("it stands in the plain in %s", name)
			}
		})
		to, _, err := r.unsealed(testPassword)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range res.Manifest.Coverage.Secrets {
			r.sameSecret(to, s)
		}
		r.verifyAll()
	}
}

// TestSecretInDatabase: a lost database is worse than a token to rotate: the backup completes, and warns every day.
func TestSecretInDatabase(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "20")
	r := newRig(t)
	value := r.planted()[0].Value
	const db, binary = "claude/data/leaky.db", "claude/data/leaky.bin"
	makeBank(t, filepath.Join(r.fix.Root, db))
	runSQL(t, filepath.Join(r.fix.Root, db), "CREATE TABLE notes(t); INSERT INTO notes VALUES('"+strings.ReplaceAll(value, "'", "''")+"')")
	write(t, filepath.Join(r.fix.Root, binary), append(make([]byte, 5000), value...))
	for day := range 3 {
		faults.Inject()
		res, err := r.sealed(testPassword)
		if err != nil {
			t.Fatal(err)
		}
		var places []string
		for _, w := range res.Warnings {
			if w.Code == "secret_in_binary" {
				places = append(places, string(w.Path))
			}
			if strings.Contains(w.Text+w.Hint, value) {
				t.Errorf("the warning tells the value")
			}
		}
		if slices.Sort(places); !slices.Equal(places, []string{binary, db}) || len(besidesGit(res.Warnings)) != 2 {
			t.Errorf("day %d: %+v", day, res.Warnings)
		}
	}
}

func runSQL(t *testing.T, path, text string) {
	t.Helper()
	if out, err := exec.Command("sqlite3", path, text).CombinedOutput(); err != nil {
		t.Fatalf("sqlite3: %v: %s", err, out)
	}
}

// TestSecretInOlderBackup: a value that becomes a secret after it was published in the plain is a finding.
func TestSecretInOlderBackup(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "20")
	r := newRig(t)
	const value = "a-perfectly-new-value-0815"
	write(t, filepath.Join(r.fix.Root, "claude/notes.md"), []byte("it is "+value+"\n"))
	if _, err := r.sealed(testPassword); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(r.fix.Root, ".env.new"), []byte("NEW_API_TOKEN="+value+"\n"))
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	st, err := r.engine().Status()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range st.Problems {
		found = found || p.Code == "secret_in_older_backup" && strings.Contains(p.Text, "NEW_API_TOKEN of .env.new") && !strings.Contains(p.Text, value)
	}
	if !found {
		t.Errorf("no finding: %+v", st.Problems)
	}
	if !slices.ContainsFunc(res.Manifest.Coverage.Secrets, func(s repository.SecretRef) bool { return s.Path == "claude/notes.md" && s.Captured }) {
		t.Errorf("the file is not in the vault now: %+v", res.Manifest.Coverage.Secrets)
	}
}

// TestForgedVault: with the password, nothing of a backup that somebody changed is used, whatever was changed.
func TestForgedVault(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "15", "17")
	r := newRig(t)
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, r.state) // a fresh Mac has no mirror
	dir := filepath.Join(r.repo(), res.BackupID)
	for _, name := range []string{repository.MACName, repository.RestoreIndexName, repository.ManifestName, repository.VaultName, repository.FilesName} {
		path := filepath.Join(dir, name)
		was := read(t, path)
		for _, at := range []int{0, len(was) / 2, len(was) - 2} {
			faults.Inject()
			flip(t, path, at)
			to, restored, err := r.unsealed(testPassword)
			if err == nil && restored.Plan.Authenticated {
				t.Errorf("%s, byte %d: authenticated", name, at)
			}
			if _, serr := os.Stat(filepath.Join(to, "claude/tools/production_api_credentials.py")); serr == nil {
				t.Errorf("%s, byte %d: secrets came back", name, at)
			}
			write(t, path, was)
		}
		remove(t, path)
		if _, restored, err := r.unsealed(testPassword); err == nil && restored.Plan.Authenticated {
			t.Errorf("%s missing: authenticated", name)
		}
		write(t, path, was)
	}
	if _, restored, err := r.unsealed(testPassword); err != nil || !restored.Plan.Authenticated {
		t.Errorf("whole again: %+v, %v", restored, err)
	}
}

// TestPasswordNumbers: the same password keeps its number, another one gets the next.
func TestPasswordNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, c := range []struct {
		password string
		number   int
	}{{"first password", 1}, {"first password", 1}, {"second password", 2}, {"second password", 2}, {"third password", 3}} {
		res, err := r.sealed(c.password)
		if err != nil || res.Manifest.PasswordNumber != c.number {
			t.Fatalf("backup %d: password %d, %v", i, res.Manifest.PasswordNumber, err)
		}
		if check, err := r.engine().CheckPassword(t.Context(), "", password(t, c.password)); err != nil || check.Number != c.number {
			t.Errorf("%+v, %v", check, err)
		}
	}
	if _, err := r.engine().CheckPassword(t.Context(), "", password(t, "first password")); engine.CodeOf(err) != engine.CodePasswordWrong {
		t.Errorf("an old password opens the newest vault: %v", err)
	}
}

// TestNoPassword: without a password, or with a Keychain that does not answer, the backup is made without a vault and
// says so; each reason in its own words.
func TestNoPassword(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "29")
	for code, fault := range map[string]error{"vault_missing": engine.ErrNoPassword, "password_unavailable": errors.New("the keychain is locked")} {
		faults.Inject()
		r := newRig(t)
		e := r.mac().engineWith(func(o *engine.Options) {
			o.Password = func(context.Context) (vault.Password, error) { return vault.Password{}, fault }
		}, r.now())
		res, err := e.Backup(t.Context(), engine.BackupOptions{})
		if err != nil {
			t.Fatal(err)
		}
		codes := map[string]int{}
		for _, w := range res.Warnings {
			codes[w.Code]++
		}
		if codes[code] != 1 || codes["secret_not_captured"] != len(res.Manifest.Coverage.Secrets) || res.Manifest.PasswordNumber != 0 {
			t.Errorf("%s: %v", code, codes)
		}
		r.sameNew(res)
		k := res.Secrets
		if k.InVault != 0 || k.Redacted < 3 || k.Missing < 3 || k.Redacted+k.Missing != len(res.Manifest.Coverage.Secrets) {
			t.Errorf("%s: %+v", code, k)
		}
		// What a restore brings, and what each is called, is the same.
		restored, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: "latest", To: filepath.Join(r.base, "to"), DryRun: true})
		if err != nil || len(restored.Plan.Redacted) != k.Redacted || len(restored.Plan.NotInBackup) != k.Missing {
			t.Errorf("%s: %+v, %v", code, restored, err)
		}
		s, err := r.engine().Show("latest", true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Manifest.Coverage.Secrets {
			x := &s.Manifest.Coverage.Secrets[i]
			copied := slices.ContainsFunc(s.Files, func(f repository.File) bool { return f.Component == x.Component && f.Path == x.Path })
			if got := s.Kept(x); copied != (got == engine.KeptRedacted) || !copied != (got == engine.KeptNot) {
				t.Errorf("%s is %s", x.Path, got)
			}
		}
		plain(t, r.repo(), func(name string, b []byte) {
			for _, p := range r.planted() {
				if bytes.Contains(b, []byte(p.Value)) {
					t.Errorf("%v stands in the plain in %s", p, name)
				}
			}
		})
	}
}

// sameNew: what a backup says that it added is what the list and its own page say, and what lies there.
func (r *rig) sameNew(res *engine.BackupResult) {
	r.t.Helper()
	l, err := r.engine().List()
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := r.engine().Show(res.BackupID, false)
	if err != nil {
		r.t.Fatal(err)
	}
	var lies int64
	for _, pattern := range []string{res.BackupID + "/*", "chunks/*"} {
		found, err := filepath.Glob(filepath.Join(r.repo(), pattern))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, path := range found {
			fi, err := os.Stat(path)
			if err != nil {
				r.t.Fatal(err)
			}
			lies += fi.Size()
		}
	}
	if res.StoredBytes != lies || l.Backups[0].StoredBytes != lies || s.StoredBytes != lies {
		r.t.Errorf("%d bytes are there, the backup says %d, the list %d, its page %d", lies, res.StoredBytes, l.Backups[0].StoredBytes, s.StoredBytes)
	}
}

// TestCancelledAtTheQuestion: whatever the Keychain says when a run is cancelled while it waits for the password, the run was
// cancelled, and nothing has failed.
func TestCancelledAtTheQuestion(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ask := func(cancel context.CancelFunc) (vault.Password, error) {
		cancel()
		return vault.Password{}, &engine.Error{Op: "read the vault password", Code: engine.CodePasswordMissing, Err: errors.New("it did not answer")}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := r.mac().engineWith(func(o *engine.Options) {
		o.FS, o.Sink = r.fsys, r.sink
		o.Password = func(context.Context) (vault.Password, error) { return ask(cancel) }
	}, r.now()).Backup(ctx, engine.BackupOptions{})
	if engine.CodeOf(err) != engine.CodeCancelled {
		t.Errorf("the backup: %v", err)
	}
	if _, err := r.sealed("right"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	_, err = r.engine().Restore(ctx, engine.RestoreOptions{To: t.TempDir() + "/to", Password: func(context.Context, int, int) (vault.Password, error) { return ask(cancel) }})
	if engine.CodeOf(err) != engine.CodeCancelled {
		t.Errorf("the restore: %v", err)
	}
}

// TestOpenByHand opens the vault as the README tells: with openssl and tar.
func TestOpenByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	res, err := r.sealed(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-md", "sha256", "-iter", fmt.Sprint(vault.Iterations),
		"-in", filepath.Join(r.repo(), res.BackupID, repository.VaultName), "-pass", "stdin")
	cmd.Stdin = strings.NewReader(testPassword + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(bytes.NewReader(out))
	var names []string
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Name == "files/maia_code/claude/tools/production_api_credentials.py" {
			body, err := io.ReadAll(tr)
			if err != nil || !bytes.Equal(body, read(t, filepath.Join(r.fix.Root, "claude/tools/production_api_credentials.py"))) {
				t.Errorf("the credentials are not what they were: %v", err)
			}
		}
	}
	if len(names) < 5 || names[0] != "vault.index" || names[1] != "credentials.json" {
		t.Errorf("%v", names)
	}
}

// TestRedactionOff: were the secret-bearing files stored as they are, the scan would name every planted secret, in
// every kind of place, and publish nothing.
func TestRedactionOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := password(t, testPassword)
	e := r.mac().engineWith(func(o *engine.Options) {
		o.Password = func(context.Context) (vault.Password, error) { return p, nil }
	}, r.now()).Leaky()
	_, err := e.Backup(t.Context(), engine.BackupOptions{})
	if engine.CodeOf(err) != engine.CodeSecretLeak {
		t.Fatalf("the secrets are in the plain, and the backup says %v", err)
	}
	kinds := map[string]int{}
	for _, s := range r.planted() {
		if s.Kind == fixture.KindGitRemote {
			continue // it lies in .git, which is excluded
		}
		path := s.Place
		for _, below := range []string{r.fix.Root, filepath.Join(r.fix.Home, "Library/LaunchAgents"), r.fix.Home} {
			if rel, ok := strings.CutPrefix(path, below+"/"); ok {
				path = rel
			}
		}
		// One of a value that has two names is told.
		if !strings.Contains(err.Error(), "in "+path) {
			t.Errorf("%v is not named", s)
		}
		if strings.Contains(err.Error(), s.Value) {
			t.Errorf("%v: the error tells the value", s)
		}
		kinds[s.Kind]++
	}
	t.Logf("kinds of places: %v", kinds)
	if len(kinds) < 8 {
		t.Errorf("only these kinds of places are planted: %v", kinds)
	}
	for _, f := range entries(t, r.repo()) {
		if repository.IsID(f.Name()) {
			t.Errorf("%s was published", f.Name())
		}
	}
	if n := len(entries(t, filepath.Join(r.repo(), repository.ChunksDir))); n > 0 {
		t.Errorf("%d chunks were published", n)
	}
	if res, err := r.sealed(testPassword); err != nil {
		t.Errorf("the real thing, after it: %+v, %v", res, err)
	}
	plain(t, r.mirror(), func(name string, b []byte) {
		for _, s := range r.planted() {
			if bytes.Contains(b, []byte(s.Value)) {
				t.Errorf("%v was left in the plain in %s", s, name)
			}
		}
	})
}
