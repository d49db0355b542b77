package cli

import (
	"runtime"

	"github.com/spf13/cobra"

	"maia-dr/engine/repository"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version", Args: argsBetween(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if a.flags.json {
				return a.writeJSON(map[string]any{
					"version": a.Version, "format": repository.Format, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			a.printf("maia-dr %s (repository format %d, %s/%s)\n", a.Version, repository.Format, runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
