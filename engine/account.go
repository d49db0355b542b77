package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// account fills in the ledger, the counts, the warnings and the status: what of the user's is in the backup, and what
// is not.
func (b *backup) account() {
	m := b.manifest
	b.ledger()
	m.Stats.LaunchAgents = m.Components[component.LaunchAgents].Count
	for _, c := range m.Components {
		m.Stats.Databases += len(c.Databases)
	}
	for i := range b.files {
		if b.files[i].HasContent() {
			m.Stats.SourceFiles++
			m.Stats.SourceBytes += b.files[i].SizeBytes
		}
	}
	b.warnSecrets()
	b.warnLeftOut()
	b.warnShrunk()
	m.Warnings = b.cap.warnings
	if m.Warnings == nil {
		m.Warnings = []repository.Warning{}
	}
	m.Status = repository.StatusCompleted
	if len(m.Warnings) > 0 {
		m.Status = repository.StatusCompletedWithWarnings
	}
}

// ledger counts where every file under the Maia root went.
func (b *backup) ledger() {
	inv, m := b.inventory, b.manifest
	c := repository.Coverage{Excluded: map[string]repository.Count{}, LeftOut: []repository.LeftOut{}}
	c.Total = inv.Ledger().Total
	for i := range b.files {
		f := &b.files[i]
		if b.seal.redacted[place(f.Component, string(f.Path))] != nil {
			continue // it counts as the secret-bearing file that it is a copy of
		}
		if component.UnderRoot(f.Component) && f.Type != repository.TypeDir {
			c.Captured.Files++
			c.Captured.Bytes += f.SizeBytes
		}
	}
	for _, s := range inv.Secrets {
		if component.UnderRoot(s.Component) {
			c.Secret.Files++
		}
		c.Secrets = append(c.Secrets, repository.SecretRef{
			Component: s.Component, Path: repository.Name(s.Path), Reason: s.Reason, Names: s.Names,
			Captured: b.seal.sealed[place(s.Component, s.Path)],
		})
	}
	for _, x := range inv.Excluded {
		c.Excluded[x.Rule] = repository.Count{Files: x.Files, Bytes: x.Bytes}
	}
	if taken := b.cap.besideTaken; len(taken) > 0 {
		n := c.Excluded[component.RuleSidecar]
		for _, size := range taken {
			n.Files, n.Bytes = n.Files-1, n.Bytes-size
		}
		if c.Excluded[component.RuleSidecar] = n; n.Files == 0 {
			delete(c.Excluded, component.RuleSidecar)
		}
	}
	leftOut := 0
	for _, l := range inv.LeftOut {
		c.LeftOut = append(c.LeftOut, repository.LeftOut{Path: repository.Name(l.Path), Reason: l.Reason})
		if component.UnderRoot(l.Component) && !l.Dir {
			leftOut++
		}
	}
	for _, l := range b.cap.vanished {
		c.LeftOut = append(c.LeftOut, l.LeftOut)
		if component.UnderRoot(l.component) {
			leftOut++
		}
	}
	excluded := 0
	for _, n := range c.Excluded {
		excluded += n.Files
	}
	if sum := c.Captured.Files + c.Secret.Files + excluded + leftOut; sum != c.Total {
		b.cap.warn("coverage_unbalanced", "", fmt.Sprintf("%s seen under the root, %d accounted for", counted(c.Total, "file was", "files were"), sum),
			"this is a fault of the program: please report it; what is listed by `maia-dr show --files` is in the backup")
	}
	m.Coverage = c
}

// warnSecrets says what is in no vault, unless that was asked for.
func (b *backup) warnSecrets() {
	if b.opt.NoVault || len(b.seal.password.Reveal()) > 0 || len(b.inventory.Secrets) == 0 {
		return
	}
	hint := "set a vault password with `maia-dr password set`, or say with --no-vault that this is meant"
	if b.passwordProblem != nil {
		why, advice := b.passwordProblem, "see `maia-dr password check`"
		if known, ok := errors.AsType[*Error](why); ok && known.Err != nil {
			why, advice = known.Err, known.Advice()
		}
		b.cap.warn("password_unavailable", "", "the vault password could not be read: "+why.Error(), advice)
	} else {
		b.cap.warn("vault_missing", "", "there is no vault password, so there is no vault in the backup", hint)
	}
	for _, s := range b.inventory.Secrets {
		text := "it is not in the backup: "
		if b.seal.redacted[place(s.Component, s.Path)] != nil {
			text = "it is in the backup without its secrets: "
		}
		b.cap.warn("secret_not_captured", s.Path, text+s.Reason, hint)
	}
}

func (b *backup) warnLeftOut() {
	for _, l := range b.inventory.LeftOut {
		if l.Missing {
			b.cap.warn("file_left_out", l.Path, l.Reason, "make it readable for you, or exclude it in the configuration if it does not matter")
		}
	}
	for _, x := range b.inventory.Excluded {
		if x.Uncounted > 0 {
			b.e.note(fmt.Sprintf("%s excluded by %s could not be counted", counted(x.Uncounted, "folder", "folders"), x.Rule))
		}
	}
	for _, l := range b.inventory.Outside {
		b.e.note(fmt.Sprintf("%s: %s", l.Path, l.Reason))
	}
}

// warnShrunk compares counts with the backup before: something may have gone that nobody meant to delete.
func (b *backup) warnShrunk() {
	last := b.last()
	if last == nil {
		return
	}
	if last.MaiaRoot != b.manifest.MaiaRoot {
		b.cap.warn("root_changed", "", fmt.Sprintf("the last backup was of %s, this one is of %s", last.MaiaRoot, b.manifest.MaiaRoot),
			"if that was not meant, name the right folder with --maia-root and back up again: the retention rule does not tell roots apart")
		return
	}
	was, is := last.Stats, b.manifest.Stats
	counts := map[string][2]int64{
		"LaunchAgents":  {int64(was.LaunchAgents), int64(is.LaunchAgents)},
		"pip packages":  {int64(was.PipPackages), int64(is.PipPackages)},
		"brew packages": {int64(was.BrewPackages), int64(is.BrewPackages)},
		"databases":     {int64(was.Databases), int64(is.Databases)},
		"files":         {int64(was.SourceFiles), int64(is.SourceFiles)},
		"bytes":         {was.SourceBytes, is.SourceBytes},
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		old, now := counts[what][0], counts[what][1]
		if old > 0 && (now == 0 || now*5 < old*4) {
			b.cap.warn("count_fell", "", fmt.Sprintf("there were %d %s in the last backup, now there are %d", old, what, now),
				"if that was not meant, look with `maia-dr show "+last.BackupID+" --files` for what is missing and restore it")
		}
	}
}
