package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// authenticate checks who made the backup and opens its vault, if the password is to be had. Without it the restore
// goes on: redacted copies are restored, and what is missing is named.
func (r *restore) authenticate() error {
	if why := r.unprovable(r.m); why != "" {
		return &Error{Op: "prove " + r.m.BackupID, Code: CodePasswordMissing, Err: errors.New("it " + why),
			Hint: "choose one with a vault from `maia-dr list`; without --vault-password-file it can be restored, and nothing is activated"}
	}
	if r.m.PasswordNumber == 0 || r.opt.Password == nil {
		return nil
	}
	for wrong := 0; ; wrong++ {
		p, err := r.opt.Password(r.ctx, r.m.PasswordNumber, wrong)
		if errors.Is(err, ErrNoPassword) {
			return nil
		}
		if err != nil {
			return cmp.Or(r.ctx.Err(), err)
		}
		err = r.openVault(p)
		if err == nil {
			r.plan.Authenticated, r.password = true, &p
			return nil
		}
		if r.rehearsal != nil && r.rehearsal.spoiled(p, err) {
			return nil
		}
		if !errors.Is(err, vault.ErrPassword) {
			return err
		}
	}
}

// unprovable says why no password can prove a backup, if one has to: whoever can write to the OneDrive folder can take a vault
// away, or make a backup without one.
func (r *restore) unprovable(m *repository.Manifest) string {
	if r.opt.OnlyProven && m.PasswordNumber == 0 {
		return "has no vault, so the password cannot prove it"
	}
	return ""
}

// stripped reports whether the backup has no vault and another one has.
func (r *restore) stripped() bool {
	if r.m.PasswordNumber > 0 {
		return false
	}
	for _, l := range r.listings {
		for id, files := range l.Backups {
			if _, ok := files[repository.MACName]; ok && id != r.m.BackupID {
				return true
			}
		}
	}
	return false
}

// openVault goes the chain from the password down: MAC, index, manifest, vault. Only what each confirms is used.
func (r *restore) openVault(p vault.Password) error {
	index, iterations, err := r.authenticIndex(p)
	if err != nil {
		return err
	}
	x, err := repository.DecodeRestoreIndex(index)
	if err != nil {
		return err
	}
	if x.BackupID != r.m.BackupID {
		return fmt.Errorf("the restore index is that of %s: %w", x.BackupID, repository.ErrDamaged)
	}
	manifest := slices.IndexFunc(x.Files, func(f repository.FileRef) bool { return f.Path == repository.ManifestName })
	if manifest < 0 || x.Files[manifest].SHA256 != repository.SumHash(r.raw) {
		return fmt.Errorf("the manifest of %s is not the one that its maker wrote: %w", r.m.BackupID, repository.ErrDamaged)
	}
	// Its hash is in the manifest.
	sealed, err := r.readFile(r.m, repository.VaultName)
	if err != nil {
		return err
	}
	plain, err := vault.Open(p, iterations, sealed)
	if err == nil {
		r.vault, err = vault.Decode(plain, r.m.BackupID)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", repository.VaultName, err)
	}
	return nil
}

// authenticIndex returns the index of the first copy whose MAC is right.
func (r *restore) authenticIndex(p vault.Password) (index []byte, iterations int, err error) {
	err = repository.ErrMissing
	for _, repo := range r.repos {
		var oerr error
		if index, iterations, oerr = openMAC(repo, r.m.BackupID, p); oerr == nil {
			return index, iterations, nil
		}
		// A wrong password says more than a copy that is not there.
		if !errors.Is(err, vault.ErrPassword) {
			err = oerr
		}
	}
	return nil, 0, err
}

// unseal puts the vault's files in the place of their redacted copies, and beside the others.
func (r *restore) unseal() {
	if r.vault == nil {
		return
	}
	at := map[string]int{}
	for i := range r.files {
		at[place(r.files[i].Component, string(r.files[i].Path))] = i
	}
	r.sealed = map[string][]byte{}
	for i := range r.vault.Files {
		f := &r.vault.Files[i]
		sum := repository.SumHash(f.Body)
		file := repository.File{
			Component: f.Component, Path: f.Path, Type: repository.TypeFile, SizeBytes: int64(len(f.Body)), Mode: sealedMode(f.Mode),
			ModTimeNS: f.ModTimeNS, SHA256: &sum,
		}
		key := place(f.Component, string(f.Path))
		r.sealed[key] = f.Body
		if n, ok := at[key]; ok {
			r.files[n] = file
		} else {
			r.files = append(r.files, file)
		}
	}
}

// wanted reports whether a file's component was asked for. "secrets" are the files in the vault, whatever components
// they belong to.
func (r *restore) wanted(f *repository.File) bool {
	return len(r.opt.Only) == 0 || slices.Contains(r.opt.Only, f.Component) ||
		slices.Contains(r.opt.Only, component.Secrets) && r.sealed[place(f.Component, string(f.Path))] != nil
}

// asked reports whether the secret-bearing files of a component were asked for.
func (r *restore) asked(name string) bool {
	return len(r.opt.Only) == 0 || slices.Contains(r.opt.Only, name) || slices.Contains(r.opt.Only, component.Secrets)
}

// needsVault refuses to restore the secrets alone out of a vault that stays closed.
func (r *restore) needsVault() error {
	if !slices.Contains(r.opt.Only, component.Secrets) || r.vault != nil {
		return nil
	}
	if r.m.PasswordNumber == 0 {
		return &Error{Op: "restore the secrets", Code: CodeUsage, Err: fmt.Errorf("%s has no vault", r.m.BackupID), Hint: "see which backup has one with `maia-dr list`"}
	}
	return &Error{Op: "restore the secrets", Code: CodePasswordMissing, Err: errors.New("the vault stays closed"), Hint: "give its password with --vault-password-file FILE"}
}
