package import LinuxSystem
package import Settings

/// Gives up root before anything is opened.
package enum PrivilegeDrop {
    /// The account that `Scripts/install --system` makes.
    package static let serviceUser = "hearth"

    /// As root, becomes the user of the configuration or the service user, and throws when there is none; it first
    /// makes the state folder for that user. Otherwise it does nothing, but throws if the configuration names another
    /// user than the current one.
    package static func apply(
        user asked: String?, prepareState: (SystemUser) throws(HostError) -> Void
    ) throws(HostError) {
        guard SystemUser.currentIsRoot else {
            if let asked, SystemUser(named: asked)?.uid != SystemUser.currentID {
                throw HostError("user '\(asked)': only root can become another user; leave --user out")
            }
            return
        }
        let name = asked ?? serviceUser
        guard let user = SystemUser(named: name) else {
            throw HostError(
                "Hearth does not serve as root, and there is no user '\(name)' to become: start it as an ordinary user, "
                    + "name one with --user, or make one with: useradd --system --no-create-home \(name)")
        }
        guard user.uid != 0 else { throw HostError("user '\(name)' is root: name an ordinary user with --user") }
        try prepareState(user)
        do throws(LinuxError) {
            try user.become()
        } catch {
            throw HostError("cannot become user '\(name)' (\(error)); start Hearth as that user instead")
        }
    }
}
