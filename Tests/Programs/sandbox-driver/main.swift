internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxPolicy

// Starts a backend as the agent does, for the tests: a process of its own, so that it can be an ordinary user when the
// tests run as root, and so that it can be killed. The first line of its output that begins with '!' is its own
// complaint; everything else is what the backend wrote.
//
//   sandbox-driver launch OPTION... FOLDER/NAME ARGUMENT...   exit status: the launcher's
//   sandbox-driver audit OPTION... FOLDER/NAME SANDBOX...
//       tries every act of the probe outside and in each of these sandboxes, and prints a line for each act; a sandbox is
//       TIER:POLICY, only=LAYER+LAYER... or without=LAYER+LAYER... of tier full
//   sandbox-driver hold COUNT OPTION... FOLDER/NAME ARGUMENT...
//       launches so many, says "held" when all have written something, and waits to be killed
//   sandbox-driver keep OPTION... FOLDER/NAME ARGUMENT...
//       prints a line for each of the keeper's reports. Lines of its input: freeze, thaw, send HEX (to the keeper, as it
//       is), echo WORD (through the backend's socket, and the answer is printed), kill, survive SECONDS PROGRAM FOLDER
//       (gives all to a holder, this program, whose socket is in the folder)
//   sandbox-driver echo OPTION... FOLDER/NAME                 sends a line through the socket and prints the answer
//
// Options: --launcher PATH --policies FOLDER --policy NAME --tier NAME --bind PATH --executable-bind PATH
//          --ablation PATH --acts NAME,NAME... --temporary BYTES --hand-over FILE --memory MEBIBYTES --threads N
//          --device PATH --control-groups CONTROLLER,CONTROLLER... (or none: groups without controllers)
do {
    exit(try Driver(Array(CommandLine.arguments.dropFirst())).run())
} catch {
    say("! \(error)")
    exit(1)
}
