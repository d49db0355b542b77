package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// ErrNoPassword says that there is no vault password to be had. It is what a password function returns where nobody
// has set one, or nobody is there to ask.
var ErrNoPassword = errors.New("there is no vault password")

// maxSecretFile is the largest file that goes into the vault, which is made in memory.
const maxSecretFile = 64 << 20

// sealing is what a backup does with secrets: it reads the secret-bearing files, makes their redacted copies, and
// collects what goes into the vault and which values must stand nowhere else.
type sealing struct {
	// password is what the vault is sealed with; zero: there will be none.
	password vault.Password
	keys     *vault.Keys
	number   int
	derived  chan error // keys and number are there

	contents vault.Contents
	needles  []vault.Needle
	words    []string // the labels of values that cannot be searched for
	// redacted are the copies that go into the archives, by place; sealed the places that go into the vault.
	redacted map[string][]byte
	sealed   map[string]bool
	// fresh says that a value may be new, so that the whole backup has to be scanned for it.
	fresh bool
	// seen are the files' states, remembered once the backup is committed.
	seen map[string]string
}

// place names a file across components.
func place(component, path string) string { return component + "/" + path }

// takeSecrets reads the secret-bearing files. Their redacted copies become entries like any other.
func (b *backup) takeSecrets() error {
	s := b.seal
	opened := make([]openedSecret, len(b.inventory.Secrets))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range opened {
		g.Go(func() error {
			opened[i] = b.openSecret(&b.inventory.Secrets[i])
			return nil
		})
	}
	_ = g.Wait() // no function fails
	for i := range opened {
		if err := b.takeSecret(&b.inventory.Secrets[i], &opened[i]); err != nil {
			return err
		}
	}
	b.takeRemotes()
	b.takeKeychain()
	for at, body := range s.redacted {
		if !b.e.leaky && isText(body) {
			s.redacted[at] = s.scrub(body)
		}
	}
	s.fresh = s.fresh || len(b.memory.InPlain) > 0
	for path, now := range s.seen {
		s.fresh = s.fresh || b.memory.Files[path] != now
	}
	slices.SortFunc(b.inventory.Entries, func(x, y component.Entry) int {
		return cmp.Or(component.Order(x.Component)-component.Order(y.Component), strings.Compare(x.Path, y.Path))
	})
	return nil
}

// findPassword begins the vault: it asks for the password and begins to derive the keys, beside everything else.
func (b *backup) findPassword() error {
	s := &sealing{redacted: map[string][]byte{}, sealed: map[string]bool{}, seen: map[string]string{}}
	b.seal = s
	if b.opt.NoVault {
		return nil
	}
	if b.password == nil {
		p, err := b.e.askPassword(b.ctx)
		switch {
		case errors.Is(err, ErrNoPassword):
			p = vault.Password{}
		case err != nil && b.ctx.Err() == nil:
			// A locked Keychain at three in the morning must not cost the backup of everything else.
			b.passwordProblem = err
		case err != nil:
			// Whatever the Keychain calls it.
			return b.ctx.Err()
		}
		b.password = &p
	}
	if len(b.password.Reveal()) == 0 {
		return nil
	}
	s.password = *b.password
	s.derived = make(chan error, 1)
	// Two derivations, of the new keys and of those of the last vault, at the same time.
	number := make(chan int, 1)
	go func() { number <- b.passwordNumber(s.password) }()
	go func() {
		var err error
		s.keys, err = vault.NewKeys(s.password, vault.Iterations, b.e.env.Random)
		s.number = <-number
		s.derived <- err
	}()
	return nil
}

// askPassword asks whoever wired the engine.
func (e *Engine) askPassword(ctx context.Context) (vault.Password, error) {
	if e.opt.Password == nil {
		return vault.Password{}, ErrNoPassword
	}
	return e.opt.Password(ctx)
}

// passwordNumber counts the passwords: that of the last vault if it is the same one, else the next.
func (b *backup) passwordNumber(p vault.Password) int {
	highest := 0
	for _, m := range slices.Backward(b.catalogue) {
		if m.PasswordNumber == 0 {
			continue
		}
		highest = max(highest, m.PasswordNumber)
		_, _, err := openMAC(b.mirror, m.BackupID, p)
		switch {
		case err == nil:
			return m.PasswordNumber
		case errors.Is(err, vault.ErrPassword):
			return highest + 1
		}
		// A copy that cannot be read tells nothing; the one before may.
	}
	return highest + 1
}

// openMAC returns a backup's authentic index, and its iterations. vault.ErrPassword: it is not authentic, or the
// password is another.
func openMAC(r repository.Repo, id string, p vault.Password) (index []byte, iterations int, err error) {
	raw, err := r.ReadSmall(id, repository.MACName)
	if err != nil {
		return nil, 0, err
	}
	mac, err := vault.ParseMAC(raw)
	if err != nil {
		return nil, 0, fmt.Errorf("%s/%s: %w", id, repository.MACName, err)
	}
	if index, err = r.ReadSmall(id, repository.RestoreIndexName); err != nil {
		return nil, 0, err
	}
	return index, mac.Iterations, mac.Check(p, index)
}

// openedSecret is a secret-bearing file, read and looked through.
type openedSecret struct {
	body     []byte
	found    []vault.Secret
	redacted []byte
	copied   bool // redacted is to stand in the file's place
	// readErr, findErr and redactErr say what failed of that.
	readErr, findErr, redactErr error
}

// openSecret changes nothing and is called from several goroutines.
func (b *backup) openSecret(f *component.SecretFile) (o openedSecret) {
	if o.body, o.readErr = readSecret(f.Source); o.readErr != nil {
		return o
	}
	o.found, o.findErr = vault.Find(f.Kind, o.body)
	switch {
	case b.e.leaky:
		o.redacted, o.redactErr, o.copied = o.body, o.findErr, true
	case o.findErr == nil && f.Redactable:
		o.redacted, o.redactErr = vault.Redact(f.Kind, o.body, o.found)
		o.copied = true
	}
	return o
}

// takeSecret puts one file where it belongs.
func (b *backup) takeSecret(f *component.SecretFile, o *openedSecret) error {
	s := b.seal
	at := place(f.Component, f.Path)
	if o.readErr != nil {
		if cerr := b.ctx.Err(); cerr != nil {
			return cerr
		}
		en := component.Entry{Component: f.Component, Path: f.Path}
		_ = b.cap.gone(&en, "it could not be read: "+component.Reason(o.readErr))
		return nil
	}
	s.seen[f.Source] = fmt.Sprint(f.Stat)
	for _, x := range o.found {
		s.needle(f.Path, x)
	}
	if len(s.password.Reveal()) > 0 {
		s.sealed[at] = true
		s.contents.Files = append(s.contents.Files, vault.File{
			Component: f.Component, Path: repository.Name(f.Path), Mode: sealedMode(f.Mode), ModTimeNS: f.Stat.MTimeNS, Body: o.body,
		})
		s.contents.Credentials.Sources = append(s.contents.Credentials.Sources, credentials(f.Component, f.Path, o.found))
	}
	if o.redactErr != nil {
		// The file is in the vault, or named as missing; what cannot be redacted safely is not stored in the plain.
		b.e.note(fmt.Sprintf("%s has no redacted copy in the backup: %v", f.Path, o.redactErr))
		return nil //nolint:nilerr // see above
	}
	if !o.copied {
		return nil
	}
	s.redacted[at] = o.redacted
	b.inventory.Entries = append(b.inventory.Entries, component.Entry{
		Component: f.Component, Path: f.Path, Source: f.Source, Kind: component.File, Mode: f.Mode, Stat: f.Stat,
	})
	return nil
}

// takeRemotes seals what the addresses of git's remotes hold. The files themselves are excluded with their .git, and a
// restore makes new ones.
func (b *backup) takeRemotes() {
	s := b.seal
	for _, rel := range b.inventory.Repositories {
		path := filepath.Join(rel, ".git", "config")
		body, err := readSecret(filepath.Join(b.root, path))
		if err != nil || s.sealed[place(component.Code, path)] {
			continue // a .git that is a file leads elsewhere; one that is captured has been taken
		}
		found, err := vault.Find(vault.GitConfig, body)
		if err != nil || len(found) == 0 {
			continue
		}
		for _, x := range found {
			s.needle(path, x)
		}
		s.contents.Credentials.Sources = append(s.contents.Credentials.Sources, credentials(component.Code, path, found))
		if fi, err := os.Stat(filepath.Join(b.root, path)); err == nil {
			s.seen[path] = fmt.Sprint(component.StatOf(fi))
		}
	}
}

// sealedMode is the mode with which a secret-bearing file comes back: its owner's part alone.
func sealedMode(mode uint32) uint32 { return mode&0o100 | 0o600 }

// credentials are a source's secrets, for people.
func credentials(component, path string, found []vault.Secret) vault.Source {
	x := vault.Source{Component: component, Path: repository.Name(path), Values: map[string]string{}}
	for _, f := range found {
		x.Values[strings.ToValidUTF8(f.Name, "?")] = strings.ToValidUTF8(string(f.Value), "\uFFFD")
	}
	return x
}

// needle makes a value one that must stand nowhere in the plain. Identifiers may.
func (s *sealing) needle(path string, x vault.Secret) {
	label := x.Name + " of " + path
	switch {
	case x.Identifier || len(x.Value) < vault.MinNeedle:
	case isPlainWord(x.Value):
		s.words = append(s.words, label)
	default:
		s.needles = append(s.needles, vault.Needle{Value: bytes.Clone(x.Value), Label: label})
	}
}

// isPlainWord reports whether a value is like any word or number: to search for "postgres" would find every file that
// speaks of it. Such a secret is worth changing; it is a finding.
func isPlainWord(value []byte) bool {
	classes := map[string]bool{}
	for _, c := range value {
		switch {
		case c >= 'a' && c <= 'z':
			classes["lower"] = true
		case c >= 'A' && c <= 'Z':
			classes["upper"] = true
		case c >= '0' && c <= '9':
			classes["digit"] = true
		default:
			classes["other"] = true
		}
	}
	return len(value) < 16 && len(classes) == 1
}

func readSecret(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err == nil && len(body) > maxSecretFile {
		err = fmt.Errorf("it is larger than %d MB", maxSecretFile>>20)
	}
	return body, err
}

// takeKeychain seals the Keychain items that the configuration names. Whether their values are new is not known: with
// any of them the whole backup is scanned every time.
func (b *backup) takeKeychain() {
	s := b.seal
	for _, service := range b.e.opt.Config.Secrets.KeychainItems {
		if b.opt.NoVault {
			return
		}
		var value []byte
		err := ErrNoPassword
		if b.e.opt.KeychainItem != nil {
			value, err = b.e.opt.KeychainItem(b.ctx, service)
		}
		if err != nil {
			b.cap.warn("keychain_item_missing", service, fmt.Sprintf("this Keychain item is not in the backup: %v", err),
				"look for it in Keychain Access, allow maia-dr to read it, or take it out of secrets.keychain_items")
			continue
		}
		x := vault.Secret{Name: service, Value: value}
		s.needle("the Keychain", x)
		s.contents.Credentials.Sources = append(s.contents.Credentials.Sources, credentials(vault.KeychainComponent, service, []vault.Secret{x}))
		s.fresh = true
	}
}

// sealVault makes credentials.vault.enc, in memory, and what the manifest says of it.
func (b *backup) sealVault() error {
	s := b.seal
	if s.derived == nil {
		return nil
	}
	if err := <-s.derived; err != nil {
		return fmt.Errorf("seal the vault: %w", err)
	}
	s.derived = nil
	m := b.manifest
	s.contents.BackupID, s.contents.Credentials.CreatedAt = m.BackupID, m.CreatedAt
	s.contents.GitBundle = b.details.bundle
	plain, err := s.contents.Encode()
	if err != nil {
		return fmt.Errorf("seal the vault: %w", err)
	}
	sealed := s.keys.Seal(plain)
	clear(plain)
	b.small[repository.VaultName] = sealed
	sum := repository.SumHash(sealed)
	m.PasswordNumber = s.number
	m.RestorationMetadata.RequiresUserInput = append(m.RestorationMetadata.RequiresUserInput, "credentials_password")
	m.Components[component.Secrets] = &repository.Component{
		Path: repository.VaultName, SizeBytes: int64(len(sealed)), SHA256: &sum, Count: len(s.contents.Files),
		Encryption: "AES-256-CBC", RequiresPassword: true,
		Details: mustJSON(map[string]any{
			"container": "openssl enc (Salted__)", "kdf": "PBKDF2-HMAC-SHA256", "iterations": vault.Iterations,
			"authentication": "HMAC-SHA256 over restore.index.gz", "git_bundle": len(s.contents.GitBundle) > 0,
		}),
	}
	return nil
}

// wait waits for the keys, if nobody has taken them.
func (s *sealing) wait() {
	if s.derived != nil {
		<-s.derived //nolint:errcheck // whoever asked for the keys has been told
	}
}

// scrub takes captured values out of what a tool printed, or out of a redacted copy that repeats another file's.
func (s *sealing) scrub(b []byte) []byte {
	for _, n := range s.needles {
		name, _, _ := strings.Cut(n.Label, " of ")
		b = bytes.ReplaceAll(b, n.Value, []byte(vault.Placeholder+name))
	}
	return b
}
