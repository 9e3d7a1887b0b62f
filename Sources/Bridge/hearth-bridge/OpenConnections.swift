/// Places for connections. Who finds none waits; one task takes them.
actor OpenConnections {
    private var free: Int
    private var waiter: CheckedContinuation<Void, Never>?

    init(max: Int) { free = max }

    func take() async {
        if free == 0 { await withCheckedContinuation { waiter = $0 } }
        free -= 1
    }

    func giveBack() {
        free += 1
        waiter?.resume()
        waiter = nil
    }
}
