package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	passwordvalidator "github.com/wagslane/go-password-validator"

	"maia-dr/engine"
	"maia-dr/engine/vault"
	"maia-dr/keychain"
)

func (a *app) passwordCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "password", Short: "The vault password, which lies in the Keychain", Args: argsBetween(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.passwordSet(), a.passwordCheck(), a.passwordRotate(), a.passwordDelete(), a.passwordImport(), a.passwordSheet())
	return cmd
}

// fileFlag is the flag of every command that can be given a password.
func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "vault-password-file", "", "read the vault password from `FILE` (- is standard input)")
}

func (a *app) passwordSet() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "set", Short: "Put a first password into the Keychain", Args: argsBetween(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.newPassword(file)
			if err != nil {
				return err
			}
			have, err := a.fromKeychain(cmd.Context())
			switch {
			case err == nil && !bytes.Equal(have.Reveal(), p.Reveal()):
				return &engine.Error{Op: "set the vault password", Code: engine.CodeUsage, Err: errors.New("there is one already"),
					Hint: "`maia-dr password rotate` replaces it; backups made so far keep the old one"}
			case err != nil && !errors.Is(err, engine.ErrNoPassword):
				return err
			}
			if err := a.store1(cmd.Context(), p); err != nil {
				return err
			}
			a.printf("The vault password is in the Keychain.\n")
			return a.afterTyping(file)
		},
	}
	fileFlag(cmd, &file)
	return cmd
}

// newPassword asks for a password twice and shows its strength, or reads it from a file.
func (a *app) newPassword(file string) (vault.Password, error) {
	if file != "" {
		p, err := a.passwordFile(file)
		if err == nil {
			a.sayStrength(p)
		}
		return p, err
	}
	for range 3 {
		p, err := a.typePassword("New vault password: ")
		if err != nil {
			return p, missingPassword(err)
		}
		a.sayStrength(p)
		again, err := a.typePassword("Once more: ")
		if err != nil {
			return p, missingPassword(err)
		}
		if bytes.Equal(p.Reveal(), again.Reveal()) {
			return p, nil
		}
		fmt.Fprintln(a.Err, "The two differ.")
	}
	return vault.Password{}, missingPassword(errors.New("the two differed three times"))
}

func missingPassword(err error) error {
	return &engine.Error{Op: "read the vault password", Code: engine.CodePasswordMissing, Err: err,
		Hint: "type it on a terminal, or give it with --vault-password-file FILE (- is standard input)"}
}

// sayStrength says how long a guess would take. Only the person can choose.
func (a *app) sayStrength(p vault.Password) {
	bits := passwordvalidator.GetEntropy(string(p.Reveal()))
	word := "weak: whoever gets at your OneDrive could guess it; four or five random words are better"
	switch {
	case bits >= 80:
		word = "strong"
	case bits >= 60:
		word = "fair"
	}
	a.say("Strength: about %d bits, %s.\n", int(bits), word)
}

// store1 writes the password into the Keychain. The store reads it back.
func (a *app) store1(ctx context.Context, p vault.Password) error {
	if err := a.keychain().Set(ctx, vaultItem, keychain.NewSecret(p.Reveal())); err != nil {
		return &engine.Error{Op: "put the vault password into the Keychain", Code: engine.CodeFailed, Err: err, Hint: storeHint(err)}
	}
	return nil
}

// afterTyping remembers that the password was typed, and makes the recovery sheet.
func (a *app) afterTyping(file string) error {
	e, err := a.engine(nil)
	if err != nil {
		return err
	}
	if file == "" {
		if err := e.PasswordTyped(); err != nil {
			return err
		}
	}
	return a.makeSheet(e)
}

func (a *app) makeSheet(e *engine.Engine) error {
	path, err := e.RecoverySheet()
	if engine.CodeOf(err) == engine.CodeNoOneDrive && err != nil {
		a.say("No recovery sheet yet: the OneDrive folder is not known. Make it with `maia-dr password sheet` once it is.\n")
		return nil //nolint:nilerr // it was said; the password is set all the same
	}
	if err != nil {
		return err
	}
	a.printf("Print the recovery sheet, write the password on it, and keep it away from this Mac: %s\n", clean(path))
	return nil
}

func (a *app) passwordSheet() *cobra.Command {
	return &cobra.Command{
		Use: "sheet", Short: "Make the recovery sheet, to be printed", Args: argsBetween(0, 0),
		RunE: func(*cobra.Command, []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			path, err := e.RecoverySheet()
			if err != nil {
				return err
			}
			a.printf("%s\n", clean(path))
			return nil
		},
	}
}

func (a *app) passwordCheck() *cobra.Command {
	var file string
	var typed bool
	cmd := &cobra.Command{
		Use: "check [BACKUP]", Short: "Open the newest vault, or a backup's, with the password", Args: argsBetween(0, 1),
		Long: `Open the newest vault with the password in the Keychain. With --typed you type it, to see that you still know it.
Exit code 12: the password is missing or wrong.`,
		ValidArgsFunction: a.completeUpTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			p, err := a.passwordToCheck(cmd.Context(), file, typed)
			if err != nil {
				return err
			}
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			res, err := e.CheckPassword(cmd.Context(), name, p)
			if err != nil {
				return err
			}
			if typed {
				if err := e.PasswordTyped(); err != nil {
					return err
				}
			}
			if a.flags.json {
				return a.writeJSON(res)
			}
			a.printf("It opens the vault of %s: password %d, %s.\n", res.BackupID, res.Number, count(res.Files, "file", "files"))
			return nil
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVar(&typed, "typed", false, "type it, instead of taking it from the Keychain")
	return cmd
}

func (a *app) passwordToCheck(ctx context.Context, file string, typed bool) (vault.Password, error) {
	switch {
	case typed:
		p, err := a.typePassword("Vault password: ")
		if err != nil {
			return p, missingPassword(err)
		}
		return p, nil
	case file != "":
		return a.passwordFile(file)
	}
	p, err := a.fromKeychain(ctx)
	if errors.Is(err, engine.ErrNoPassword) {
		return p, &engine.Error{Op: "check the vault password", Code: engine.CodePasswordMissing, Err: err}
	}
	return p, err
}

func (a *app) passwordRotate() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the password for backups from now on", Args: argsBetween(0, 0),
		Long: `Replace the password in the Keychain. Backups made so far keep the one they were sealed with: keep that too until
none is left. "maia-dr list" shows the number of each backup's password.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := a.fromKeychain(cmd.Context()); errors.Is(err, engine.ErrNoPassword) {
				return &engine.Error{Op: "rotate the vault password", Code: engine.CodePasswordMissing, Err: err}
			}
			p, err := a.newPassword(file)
			if err != nil {
				return err
			}
			if err := a.store1(cmd.Context(), p); err != nil {
				return err
			}
			a.printf("Backups from now on are sealed with the new password; earlier ones still need the old one.\n")
			return a.afterTyping(file)
		},
	}
	fileFlag(cmd, &file)
	return cmd
}

func (a *app) passwordDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete", Short: "Take the password out of the Keychain", Args: argsBetween(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				answer, err := a.ask("Without it no backup seals a vault, and only you can open those there are. Delete it? [y/N] ")
				if err != nil {
					return usageErrorFor(cmd, fmt.Errorf("%w: add --yes", err))
				}
				if !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
					a.printf("Nothing was deleted.\n")
					return nil
				}
			}
			err := a.keychain().Delete(cmd.Context(), vaultItem)
			if errors.Is(err, keychain.ErrNotFound) {
				return &engine.Error{Op: "delete the vault password", Code: engine.CodePasswordMissing, Err: err, Hint: "there is nothing to delete"}
			}
			if err != nil {
				return &engine.Error{Op: "delete the vault password", Code: engine.CodeFailed, Err: err, Hint: storeHint(err)}
			}
			a.printf("The vault password is no longer in the Keychain.\n")
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "ask nothing")
	return cmd
}

func (a *app) passwordImport() *cobra.Command {
	return &cobra.Command{
		Use: "import [FILE]", Short: "Take the password out of an old plist or environment file", Args: argsBetween(0, 1),
		Long: `Move the vault password out of a property list or an environment file into the Keychain, and take it out of the
file. Without a name, the old ~/Library/LaunchAgents/com.maia.disaster-recovery.plist. Everything else in the file stays.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			if path == "" {
				path = filepath.Join(a.home(), "Library", "LaunchAgents", "com.maia.disaster-recovery.plist")
			}
			return a.importPassword(cmd.Context(), e, path)
		},
	}
}

func (a *app) importPassword(ctx context.Context, e *engine.Engine, path string) error {
	found, err := e.FindOldPassword(path)
	if err != nil {
		return err
	}
	have, err := a.fromKeychain(ctx)
	switch {
	case err == nil && !bytes.Equal(have.Reveal(), found.Password.Reveal()):
		return &engine.Error{Op: "import the vault password", Path: path, Code: engine.CodeUsage, Err: errors.New("the Keychain holds another one already"),
			Hint: "if the file's is the right one, run `maia-dr password delete` first"}
	case err != nil && !errors.Is(err, engine.ErrNoPassword):
		return err
	case err != nil:
		if err := a.store1(ctx, found.Password); err != nil {
			return err
		}
	}
	// Only once it is safe in the Keychain.
	if err := e.ScrubOldPassword(found); err != nil {
		return err
	}
	a.sayStrength(found.Password)
	a.printf("The vault password (%s) is in the Keychain, and no longer in %s.\n", clean(found.Name), clean(path))
	a.say("It may still be in backups of that file, Time Machine's too: `maia-dr password rotate` makes it worthless there.\n")
	return a.makeSheet(e)
}
