package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"maia-dr/engine"
	"maia-dr/engine/vault"
	"maia-dr/keychain"
)

// vaultItem is where the vault password lies.
var vaultItem = keychain.Item{Service: keychain.Service, Account: keychain.Account, Label: "Maia Recovery vault password"}

// passwordFile reads the password from a file, or from standard input for "-". Exactly one final newline is cut off.
func (a *app) passwordFile(path string) (vault.Password, error) {
	fail := func(err error) (vault.Password, error) {
		return vault.Password{}, &engine.Error{Op: "read the vault password", Path: path, Code: engine.CodePasswordMissing, Err: err,
			Hint: "name a file that holds the password, or - for standard input"}
	}
	in := a.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return fail(errors.Unwrap(err))
		}
		defer file.Close()
		in = file
	}
	b, err := io.ReadAll(io.LimitReader(in, vault.MaxPassword+2))
	if err != nil {
		return fail(err)
	}
	p, err := vault.NewPassword(bytes.TrimSuffix(b, []byte("\n")))
	if err != nil {
		return fail(err)
	}
	return p, nil
}

// fromKeychain reads the vault password. engine.ErrNoPassword: nobody has set one.
func (a *app) fromKeychain(ctx context.Context) (vault.Password, error) {
	s, err := a.keychain().Get(ctx, vaultItem)
	switch {
	case errors.Is(err, keychain.ErrNotFound):
		return vault.Password{}, engine.ErrNoPassword
	case err != nil:
		// Its own "read vault from keychain" would say the same twice.
		return vault.Password{}, &engine.Error{Op: "read the vault password from the Keychain", Code: engine.CodePasswordMissing,
			Err: cmp.Or(errors.Unwrap(err), err), Hint: keychainHint(err)}
	}
	p, err := vault.NewPassword(s.Bytes())
	if err != nil {
		return vault.Password{}, &engine.Error{Op: "read the vault password from the Keychain", Code: engine.CodePasswordMissing, Err: err,
			Hint: "set another with `maia-dr password rotate`"}
	}
	return p, nil
}

// keychainHint says what to do where the vault password cannot be read: it can come from elsewhere.
func keychainHint(err error) string {
	switch {
	case errors.Is(err, keychain.ErrDenied), errors.Is(err, keychain.ErrUnavailable):
		return storeHint(err) + ", or give the password with --vault-password-file"
	case errors.Is(err, keychain.ErrLocked), errors.Is(err, keychain.ErrTimeout):
		return storeHint(err)
	}
	return "set the password with `maia-dr password set`, or give it with --vault-password-file"
}

// storeHint says what to do where the Keychain fails, whatever was asked of it.
func storeHint(err error) string {
	switch {
	case errors.Is(err, keychain.ErrLocked):
		return "log in at the desktop, or unlock the Keychain, and try again"
	case errors.Is(err, keychain.ErrDenied):
		return "try again and allow maia-dr to use the item"
	case errors.Is(err, keychain.ErrTimeout):
		return "look for a question of the Keychain on the screen, and try again"
	}
	return "run it in a desktop session"
}

// backupPassword is where a backup has its password from if no file is given: the Keychain, else, where a person looks
// on and there is a vault to compare it with, that person.
func (a *app) backupPassword(scheduled bool) func(context.Context) (vault.Password, error) {
	return func(ctx context.Context) (vault.Password, error) {
		p, err := a.fromKeychain(ctx)
		if err == nil || !errors.Is(err, engine.ErrNoPassword) || scheduled || !a.Terminal || a.flags.quiet || a.flags.json {
			return p, err
		}
		e, eerr := a.engine(nil)
		if eerr != nil || !e.HasVault() {
			return p, err
		}
		for range 3 {
			typed, terr := a.typePassword("Vault password (empty: no vault this time): ")
			if terr != nil {
				return p, engine.ErrNoPassword
			}
			if _, cerr := e.CheckPassword(ctx, "", typed); cerr == nil {
				return typed, nil
			}
			fmt.Fprintln(a.Err, "That is not the password of the newest vault.")
		}
		return p, engine.ErrNoPassword
	}
}

// restorePassword is where a restore has a vault's password from: the file, else the Keychain, else the person, three
// times.
func (a *app) restorePassword(file string) func(context.Context, int, int) (vault.Password, error) {
	inKeychain := file == ""
	tries := 0
	return func(ctx context.Context, number, wrong int) (vault.Password, error) {
		if file != "" {
			if wrong > 0 {
				return vault.Password{}, &engine.Error{Op: "open the vault", Path: file, Code: engine.CodePasswordWrong,
					Err: fmt.Errorf("the password in it is not password %d: %w", number, vault.ErrPassword)}
			}
			return a.passwordFile(file)
		}
		if inKeychain {
			inKeychain = false
			p, err := a.fromKeychain(ctx)
			if err == nil {
				return p, nil
			}
			if !errors.Is(err, engine.ErrNoPassword) && !errors.Is(err, keychain.ErrUnavailable) {
				a.report(err)
			}
		} else if tries > 0 || wrong > 0 {
			fmt.Fprintln(a.Err, "Wrong password, or the backup was changed.")
		}
		if tries == 3 || a.flags.quiet || a.flags.json {
			return vault.Password{}, engine.ErrNoPassword
		}
		tries++
		a.tidy()
		p, err := a.typePassword(fmt.Sprintf("Vault password %d (empty: restore without it): ", number))
		if err != nil {
			return vault.Password{}, engine.ErrNoPassword
		}
		return p, nil
	}
}

// errEmptyAnswer says that the person typed nothing.
var errEmptyAnswer = errors.New("nothing was typed")

// typePassword asks on the terminal, without showing what is typed.
func (a *app) typePassword(question string) (vault.Password, error) {
	if a.ReadPassword == nil {
		return vault.Password{}, errNoTerminal
	}
	a.tidy()
	b, err := a.ReadPassword(question)
	if errors.Is(err, errInterrupted) {
		<-a.ctx.Done() // by the signal, so that nobody goes on meanwhile
		return vault.Password{}, a.ctx.Err()
	}
	if err != nil {
		return vault.Password{}, errNoTerminal
	}
	if len(b) == 0 {
		return vault.Password{}, errEmptyAnswer
	}
	return vault.NewPassword(b)
}

// keychainItem reads an item that the configuration names: "service", or "service/account" where the account is not
// the user's own name.
func (a *app) keychainItem(ctx context.Context, name string) ([]byte, error) {
	service, account, ok := strings.Cut(name, "/")
	if !ok {
		account = a.Env.Getenv("USER")
	}
	s, err := a.keychain().Get(ctx, keychain.Item{Service: service, Account: account})
	return s.Bytes(), err
}

// keychain returns the store of passwords, made once.
func (a *app) keychain() keychain.Store {
	if a.store == nil {
		a.store = a.Keychain(a.keychainBackend)
	}
	return a.store
}
