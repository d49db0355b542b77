//go:build !darwin

package launchd

// Supported says whether this system has launchd.
const Supported = false
