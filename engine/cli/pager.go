package cli

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"strings"
)

// paged writes a long answer: on a terminal through $PAGER, less if that is not set, and elsewhere as it is. PAGER=cat means none,
// --json too. Remarks on standard error come in their place of the text.
func (a *app) paged(ctx context.Context, write func()) {
	pager := a.pager()
	if pager == nil {
		write()
		return
	}
	var text bytes.Buffer
	out, err := a.Out, a.Err
	a.Out = &text
	if a.Terminal {
		a.Err = &text
	}
	write()
	a.Out, a.Err = out, err
	// Ctrl-C is for the pager: it must not be killed with the terminal in its hands.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), pager[0], pager[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text.Bytes()), out, err
	if a.Env.Getenv("LESS") == "" {
		// F: what fits the screen is simply written; R: colours; X: it stays on the screen.
		cmd.Env = append(cmd.Environ(), "LESS=FRX")
	}
	if serr := cmd.Start(); serr != nil {
		_, _ = io.Copy(out, &text)
		return
	}
	_ = cmd.Wait() // what somebody does in a pager is no failure of the command
}

// pager returns the command that shows long answers; nil: none.
func (a *app) pager() []string {
	if !a.OutTerminal || a.flags.json || a.Env.Getenv("TERM") == "dumb" {
		return nil
	}
	switch pager := strings.TrimSpace(a.Env.Getenv("PAGER")); pager {
	case "cat":
		return nil
	case "":
		if path, err := exec.LookPath("less"); err == nil {
			return []string{path, "-R"}
		}
		return nil
	default:
		// PAGER is a line for the shell, as with git and man.
		return []string{"/bin/sh", "-c", pager}
	}
}
