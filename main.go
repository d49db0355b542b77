// Command maia-dr backs up a developer's working system into OneDrive and brings it back.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"maia-dr/engine"
	"maia-dr/engine/cli"
	"maia-dr/resources"
)

// version is stamped by the build.
var version = "0.1.0-dev"

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return cli.Run(ctx, cli.Program{
		Env: engine.SystemEnv(), Version: version, Script: resources.RestoreScript, Args: os.Args[1:],
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())), OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		OpenTTY: func() (io.ReadWriteCloser, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) },
		Self:    self,
	})
}
