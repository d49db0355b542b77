package keychain

import (
	"io/fs"
	"os"
	"strconv"
)

// noBus says in a sentence why there is no session bus, or nothing. To be asked first: with no address the D-Bus
// library starts a bus of its own, which nobody ends and where nothing answers.
func noBus() string {
	return noBusAt(os.Getenv("DBUS_SESSION_BUS_ADDRESS"), "/run/user/"+strconv.Itoa(os.Getuid())+"/bus", os.Stat)
}

func noBusAt(address, socket string, stat func(string) (fs.FileInfo, error)) string {
	if address != "" && address != "autolaunch:" {
		return ""
	}
	if _, err := stat(socket); err == nil {
		return ""
	}
	return "this process belongs to no desktop session (DBUS_SESSION_BUS_ADDRESS is not set)"
}
