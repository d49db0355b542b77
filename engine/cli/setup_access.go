package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/schedule"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
	"maia-dr/keychain"
)

const (
	probeLabel = "com.maia.recovery-probe"
	// probeLimit is how long a person may take to answer macOS's questions, probeEvery how often is looked.
	probeLimit = 5 * time.Minute
	probeEvery = 500 * time.Millisecond
)

// setPassword takes the password from where there is one: the Keychain, a file, the plan's agent, the person.
func (s *setup) setPassword() (state, text string, err error) {
	e, err := s.engine(nil)
	if err != nil {
		return "", "", err
	}
	if s.passwordFile != "" {
		return s.passwordFromFile()
	}
	_, err = s.fromKeychain(s.ctx)
	switch {
	case err == nil:
		return stepAlready, "in the Keychain", nil
	case !errors.Is(err, engine.ErrNoPassword):
		return "", "", err
	}
	if st, serr := s.scheduler().Status(s.ctx, BackupLabel); serr == nil && st.Old {
		err := s.aside(func() error { return s.importPassword(s.ctx, e, st.File) })
		if err == nil {
			return stepDone, "taken out of the plan's agent, into the Keychain", nil
		}
		if !errors.Is(err, engine.ErrNoOldPassword) {
			return "", "", err
		}
	}
	const without = "no password, so no vault: your credentials are in no backup"
	if s.yes {
		s.worse(ExitIncomplete)
		return stepSkipped, without + "; set one with `maia-dr password set`", nil
	}
	p, err := s.askPassword(e)
	if s.ctx.Err() != nil {
		return "", "", s.ctx.Err()
	}
	if errors.Is(err, errEmptyAnswer) {
		s.worse(ExitIncomplete)
		return stepSkipped, without + "; set one with `maia-dr password set`", nil
	}
	if err != nil {
		return "", "", err
	}
	if err := s.store1(s.ctx, p); err != nil {
		return "", "", err
	}
	return stepDone, "in the Keychain", e.PasswordTyped()
}

// passwordFromFile puts the file's password into the Keychain. Where there is none, this run at least uses it.
func (s *setup) passwordFromFile() (state, text string, err error) {
	p, err := s.app.passwordFile(s.passwordFile)
	if err != nil {
		return "", "", err
	}
	s.password = func(context.Context) (vault.Password, error) { return p, nil }
	have, err := s.fromKeychain(s.ctx)
	switch {
	case err == nil && bytes.Equal(have.Reveal(), p.Reveal()):
		return stepAlready, "in the Keychain", nil
	case err == nil:
		return "", "", &engine.Error{Op: "set the vault password", Code: engine.CodeUsage, Err: errors.New("the Keychain holds another one already"),
			Hint: "`maia-dr password rotate` replaces it"}
	case !errors.Is(err, engine.ErrNoPassword):
		if known, ok := errors.AsType[*engine.Error](err); ok && errors.Is(err, keychain.ErrUnavailable) {
			known.Hint = "this run's backup is sealed with the file's password; those of the schedule need it in the Keychain: run it in a desktop session"
		}
		return "", "", err
	}
	s.sayStrength(p)
	return stepDone, "in the Keychain", s.store1(s.ctx, p)
}

// askPassword asks for the password of the vaults there are, else for a new one. errEmptyAnswer: the person wants none now.
func (s *setup) askPassword(e *engine.Engine) (vault.Password, error) {
	if !e.HasVault() {
		s.say("The vault password seals your credentials. Nobody can recover it for you. Empty: none for now.\n")
		return s.newPassword("")
	}
	for range 3 {
		p, err := s.typePassword("Vault password of the backups there are (empty: none for now): ")
		if err != nil {
			return p, err
		}
		_, err = e.CheckPassword(s.ctx, "", p)
		if engine.CodeOf(err) != engine.CodePasswordWrong {
			return p, err
		}
		fmt.Fprintln(s.Err, "That is not the password of the newest vault.")
	}
	return vault.Password{}, &engine.Error{Op: "read the vault password", Code: engine.CodePasswordWrong, Err: errors.New("wrong three times")}
}

// askAccess has launchd start a program that looks into every folder that a backup needs: macOS then asks the person,
// who is there to answer. Terminal's own grant says nothing of the agent's.
func (s *setup) askAccess() (state, text string, err error) {
	if !s.AsksForAccess {
		return stepAlready, "this system asks nobody for access to folders", nil
	}
	e, err := s.engine(nil)
	if err != nil {
		return "", "", err
	}
	if why := fleeting(s.Executable); why != "" {
		return stepSkipped, why, nil
	}
	pins, err := s.pins(e)
	if err != nil {
		return "", "", err
	}
	began := s.Env.Now()
	job := schedule.Job{Label: probeLabel, Description: "Maia Recovery: ask for access", Program: slices.Concat([]string{s.Executable, "probe"}, pins)}
	s.say("macOS may now ask whether Maia Recovery may use some folders: allow it.\n")
	// One of an earlier run that was cut off.
	if _, err := s.scheduler().Remove(s.ctx, probeLabel, true); err != nil {
		return "", "", scheduleError("ask for access", err)
	}
	if _, err := s.scheduler().Install(s.ctx, job); err != nil {
		return "", "", scheduleError("ask for access", err)
	}
	found, err := s.waitForProbe(e, began)
	// A cancelled setup cleans up, too.
	_, rerr := s.scheduler().Remove(context.WithoutCancel(s.ctx), probeLabel, true)
	if err = errors.Join(err, rerr); err != nil {
		return "", "", scheduleError("ask for access", err)
	}
	return judgeProbe(found)
}

func (s *setup) waitForProbe(e *engine.Engine, began time.Time) (*state.Probe, error) {
	for waited := time.Duration(0); waited < probeLimit; waited += probeEvery {
		if p := e.ProbedSince(began); p != nil {
			return p, nil
		}
		t := time.NewTimer(probeEvery)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
			return nil, s.ctx.Err()
		}
	}
	return nil, &engine.Error{Op: "ask for access", Code: engine.CodeFailed, Err: fmt.Errorf("no answer within %v", probeLimit),
		Hint: "look for a question on the screen, and at System Settings, Privacy & Security, Files and Folders; then run `maia-dr setup` again"}
}

// judgeProbe says what was granted. A home folder that cannot be listed costs nothing.
func judgeProbe(p *state.Probe) (string, string, error) {
	var refused []string
	for _, r := range p.Results {
		if r.State != state.AccessGranted && r.What != "home" {
			refused = append(refused, fmt.Sprintf("%s (%s)", r.Path, r.Error))
		}
	}
	if len(refused) > 0 {
		return "", "", &engine.Error{Op: "ask for access", Code: engine.CodeReadOnly, Err: errors.New("the scheduled backups cannot use " + strings.Join(refused, ", ")),
			Hint: "allow Maia Recovery in System Settings, Privacy & Security, Files and Folders (or Full Disk Access), and run `maia-dr setup` again"}
	}
	return stepDone, "the scheduled backups can use every folder they need", nil
}

// probeCommand is what launchd starts to have macOS ask; people have no use for it.
func (a *app) probeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "probe", Short: "Look into every folder that a backup needs, as setup has it started", Hidden: true, Args: argsBetween(0, 0),
		RunE: func(*cobra.Command, []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			p, err := e.Probe()
			if err != nil {
				return err
			}
			if slices.ContainsFunc(p.Results, func(r state.ProbeResult) bool { return r.State != state.AccessGranted }) {
				a.exit = ExitIncomplete
			}
			return a.writeJSON(p)
		},
	}
}
