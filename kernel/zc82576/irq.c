// SPDX-License-Identifier: GPL-2.0
/*
 * MSI-X: vector i for queue pair i, one more for everything else (7.3).
 */
#include <linux/bitfield.h>
#include <linux/interrupt.h>

#include "compat.h"
#include "zc82576.h"

/*
 * EIAM masks in silicon; the emulated card wants to be told, and a second
 * mask costs one posted write.
 */
static irqreturn_t zc82576_irq_queue(int irq, void *data)
{
	struct zc82576_queue *q = data;

	zc82576_write(q->nic, EIMC, BIT(q->index));
	napi_schedule(&q->napi);
	return IRQ_HANDLED;
}

static irqreturn_t zc82576_irq_other(int irq, void *data)
{
	struct zc82576 *nic = data;
	u32 causes = zc82576_read(nic, ICR);	/* cleared by reading (8.8.8) */

	if (causes == ~0U)
		return IRQ_NONE;		/* the device is gone */
	if (causes & INT_LSC)
		mod_delayed_work(system_percpu_wq, &nic->watch, 0);
	zc82576_write(nic, EIMS, BIT(ZC82576_OTHER_VECTOR));
	return IRQ_HANDLED;
}

/** zc82576_irq_unmask() - NAPI is complete: let the queue interrupt again */
void zc82576_irq_unmask(struct zc82576_queue *q)
{
	zc82576_write(q->nic, EIMS, BIT(q->index));
}

/** zc82576_irq_moderate() - 8.8.14: the least time between two interrupts of a queue */
void zc82576_irq_moderate(struct zc82576 *nic)
{
	u32 interval = FIELD_PREP(EITR_USECS, nic->rx_usecs);
	unsigned int i;

	for (i = 0; i < ZC82576_QUEUES; i++)
		zc82576_write(nic, EITR(i), interval ? interval | EITR_CNT_IGNR : 0);
}

/* 7.3.2: queue n in IVAR[n], byte 0 receive, byte 1 transmit, for n < 8. */
static void zc82576_irq_route(struct zc82576 *nic)
{
	u32 all = BIT(ZC82576_VECTORS) - 1;
	unsigned int i;

	zc82576_write(nic, GPIE, GPIE_NSICR | GPIE_MSIX | GPIE_EIAME | GPIE_PBA);
	for (i = 0; i < ZC82576_QUEUES; i++) {
		u32 vector = i | IVAR_VALID;

		zc82576_write(nic, IVAR(i), vector | vector << 8);
	}
	zc82576_irq_moderate(nic);
	zc82576_write(nic, IVAR_MISC, (ZC82576_OTHER_VECTOR | IVAR_VALID) << 8);
	zc82576_write(nic, EIAC, all);
	zc82576_write(nic, EIAM, all);
	zc82576_write(nic, IMS, INT_LSC);
	zc82576_write(nic, EIMS, all);
}

static void zc82576_irq_free(struct zc82576 *nic, unsigned int queues)
{
	while (queues--)
		free_irq(pci_irq_vector(nic->pci, queues), &nic->queues[queues]);
}

static int zc82576_irq_request(struct zc82576 *nic)
{
	unsigned int i;
	int err;

	for (i = 0; i < ZC82576_QUEUES; i++) {
		struct zc82576_queue *q = &nic->queues[i];

		snprintf(q->irq_name, sizeof(q->irq_name), "%s-rxtx-%u", nic->dev->name, i);
		err = request_irq(pci_irq_vector(nic->pci, i), zc82576_irq_queue, 0,
				  q->irq_name, q);
		if (err)
			goto out_free;
	}
	snprintf(nic->other_irq_name, sizeof(nic->other_irq_name), "%s-other", nic->dev->name);
	err = request_irq(pci_irq_vector(nic->pci, i), zc82576_irq_other, 0, nic->other_irq_name,
			  nic);
	if (!err)
		return 0;

out_free:
	zc82576_irq_free(nic, i);
	return err;
}

/**
 * zc82576_irq_start() - request the vectors and unmask them
 * @nic: NAPI of every queue is enabled
 *
 * Return: 0 or an errno of request_irq()
 */
int zc82576_irq_start(struct zc82576 *nic)
{
	int err = zc82576_irq_request(nic);

	if (!err)
		zc82576_irq_route(nic);
	return err;
}

/** zc82576_irq_stop() - on return no handler runs, none will */
void zc82576_irq_stop(struct zc82576 *nic)
{
	zc82576_write(nic, IMC, ~0U);
	zc82576_write(nic, EIMC, ~0U);
	zc82576_flush(nic);
	free_irq(pci_irq_vector(nic->pci, ZC82576_OTHER_VECTOR), nic);
	zc82576_irq_free(nic, ZC82576_QUEUES);
}
