package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// typeEvery is how long a password may go untyped before its owner is asked to type it once: who never needs it
// forgets it.
const typeEvery = 92 * 24 * time.Hour

// PasswordCheck is what a password opened.
type PasswordCheck struct {
	BackupID string `json:"backup_id"`
	// Number is the password's, counted from 1; Files are those in the vault.
	Number int `json:"password_number"`
	Files  int `json:"files"`
}

// CheckPassword opens a vault with a password: that of a named backup, or the newest there is. An error of
// CodePasswordWrong says that it is another's; CodeNoBackup that there is no vault.
func (e *Engine) CheckPassword(ctx context.Context, name string, p vault.Password) (*PasswordCheck, error) {
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	m, raw, err := v.newestVault(name)
	if err != nil {
		return nil, err
	}
	r := &restore{view: v, ctx: ctx, m: m, raw: raw, plan: new(RestorePlan)}
	switch err := r.openVault(p); {
	case errors.Is(err, vault.ErrPassword):
		return nil, &Error{Op: "open the vault of " + m.BackupID, Code: CodePasswordWrong, Err: fmt.Errorf("this is not password %d: %w", m.PasswordNumber, err)}
	case err != nil:
		return nil, explain("open the vault of "+m.BackupID, "", err)
	}
	return &PasswordCheck{BackupID: m.BackupID, Number: m.PasswordNumber, Files: len(r.vault.Files)}, nil
}

// newestVault returns the newest backup with a vault, or the one named.
func (v *view) newestVault(name string) (*repository.Manifest, []byte, error) {
	none := &Error{Op: "look for a vault", Code: CodeNoBackup, Err: errors.New("there is no backup with a vault yet")}
	if name != "" {
		m, raw, _, err := v.resolve(name)
		if err == nil && m.PasswordNumber == 0 {
			err = none
		}
		return m, raw, err
	}
	for _, id := range v.ids() {
		m, raw, err := v.manifest(id)
		if err == nil && m.PasswordNumber > 0 && len(v.lacks(m)) == 0 {
			return m, raw, nil
		}
	}
	return nil, nil, none
}

// HasVault reports whether any backup has a vault that can be read now.
func (e *Engine) HasVault() bool {
	v, err := e.view()
	if err != nil {
		return false
	}
	_, _, err = v.newestVault("")
	return err == nil
}

// PasswordTyped remembers that the owner has just typed the password.
func (e *Engine) PasswordTyped() error {
	return e.keep(func(k *state.Keepsakes) { k.PasswordTypedAt = e.now().UTC() })
}

// keep changes what is remembered for the owner.
func (e *Engine) keep(change func(*state.Keepsakes)) error {
	if err := e.state.Create(); err != nil {
		return explain("remember it", e.state.Path, err)
	}
	k, err := e.state.Keepsakes()
	if err != nil {
		return explain("remember it", e.state.Path, err)
	}
	change(k)
	return explain("remember it", e.state.Path, e.state.SaveKeepsakes(k))
}

// reminders are what the owner should see to, though no backup is worse for it.
func (e *Engine) reminders(vault bool) []state.Problem {
	k, err := e.state.Keepsakes()
	if err != nil || !vault {
		return nil
	}
	var out []state.Problem
	if !k.PasswordTypedAt.IsZero() && e.now().Sub(k.PasswordTypedAt) > typeEvery {
		out = append(out, state.Problem{Code: "password_untyped", Text: fmt.Sprintf("you last typed the vault password on %s", k.PasswordTypedAt.Local().Format("2 January 2006")),
			Hint: "type it once, so that you still know it: `maia-dr password check --typed`"})
	}
	if k.Sheet != nil && !slices.Equal(k.Sheet.ScriptSHA256[:], sumOf(e.opt.Script)) {
		out = append(out, state.Problem{Code: "sheet_outdated", Text: "the recovery sheet was printed with an older restore script",
			Hint: "print it again: `maia-dr password sheet`"})
	}
	return out
}

func sumOf(b []byte) []byte {
	h := repository.SumHash(b)
	return h[:]
}
